// Goes on from a text, and writes the words as they come.
//   example_complete MODEL TEXT
#include <cstdio>
#include <string_view>

#include "hone/hone.h"

int main(int argc, char** argv) {
  if (argc != 3) {
    std::fprintf(stderr, "usage: example_complete MODEL TEXT\n");
    return 2;
  }
  auto session = hone::Session::Load(argv[1]);
  if (!session) {
    std::fprintf(stderr, "%s\n", session.error().message.c_str());
    return static_cast<int>(session.error().kind);
  }

  hone::GenerateOptions options;
  options.max_tokens = 40;
  options.sampling.temperature = 0.7;
  options.sampling.seed = 1;  // the same seed gives the same text
  options.listener.text = [](std::string_view piece) {
    std::fwrite(piece.data(), 1, piece.size(), stdout);
    std::fflush(stdout);
  };
  const auto answer = session->Complete(argv[2], options);
  if (!answer) {
    std::fprintf(stderr, "%s\n", answer.error().message.c_str());
    return static_cast<int>(answer.error().kind);
  }
  std::printf("\n%zu tokens, %.1f a second\n", answer->tokens.size(), answer->decode_tokens_per_second());
  return 0;
}
