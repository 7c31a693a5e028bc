// Random numbers as a function of (seed, position, use): never a stream, so that the same draw gives the same
// number whatever the batch, the order and the threads.
//
// Philox 4x32-10 of "Parallel Random Numbers: As Easy as 1, 2, 3" (Salmon, Moraes, Dror, Shaw; SC 2011).
#pragma once

#include <array>
#include <cstdint>

namespace hone {

// Ten rounds of the bijection that `key` chooses on 128-bit counters.
constexpr std::array<uint32_t, 4> Philox(std::array<uint32_t, 4> counter, std::array<uint32_t, 2> key) {
  constexpr uint64_t kMultiplier0 = 0xD2511F53;
  constexpr uint64_t kMultiplier1 = 0xCD9E8D57;
  constexpr uint32_t kWeyl0 = 0x9E3779B9;  // golden ratio
  constexpr uint32_t kWeyl1 = 0xBB67AE85;  // sqrt(3) - 1
  for (int round = 0; round < 10; ++round) {
    const uint64_t product0 = kMultiplier0 * counter[0];
    const uint64_t product1 = kMultiplier1 * counter[2];
    counter = {static_cast<uint32_t>(product1 >> 32) ^ counter[1] ^ key[0], static_cast<uint32_t>(product1),
               static_cast<uint32_t>(product0 >> 32) ^ counter[3] ^ key[1], static_cast<uint32_t>(product0)};
    key = {key[0] + kWeyl0, key[1] + kWeyl1};
  }
  return counter;
}

// Four uniform words. `use` tells draws at one position apart (the token itself, an acceptance test, noise
// ...), `block` counts on where one use needs more than four words.
constexpr std::array<uint32_t, 4> RandomWords(uint64_t seed, uint64_t position, uint32_t use,
                                              uint32_t block = 0) {
  return Philox({static_cast<uint32_t>(position), static_cast<uint32_t>(position >> 32), use, block},
                {static_cast<uint32_t>(seed), static_cast<uint32_t>(seed >> 32)});
}

constexpr uint32_t RandomWord(uint64_t seed, uint64_t position, uint32_t use) {
  return RandomWords(seed, position, use)[0];
}

// Uniform in [0, 1), a multiple of 2^-24.
constexpr float RandomUniform(uint64_t seed, uint64_t position, uint32_t use) {
  return static_cast<float>(RandomWord(seed, position, use) >> 8) * 0x1.0p-24f;
}

// Uniform in [0, 1), a multiple of 2^-53.
constexpr double RandomUniformDouble(uint64_t seed, uint64_t position, uint32_t use) {
  const auto words = RandomWords(seed, position, use);
  return static_cast<double>((static_cast<uint64_t>(words[0]) << 32 | words[1]) >> 11) * 0x1.0p-53;
}

}  // namespace hone
