// Holds a conversation of as many turns as there are arguments. What was said before is not read again.
//   example_chat MODEL MESSAGE [MESSAGE ...]
#include <cstdio>
#include <vector>

#include "hone/hone.h"

int main(int argc, char** argv) {
  if (argc < 3) {
    std::fprintf(stderr, "usage: example_chat MODEL MESSAGE [MESSAGE ...]\n");
    return 2;
  }
  auto session = hone::Session::Load(argv[1]);
  if (!session) {
    std::fprintf(stderr, "%s\n", session.error().message.c_str());
    return static_cast<int>(session.error().kind);
  }

  hone::GenerateOptions options;
  options.max_tokens = 60;
  std::vector<hone::ChatMessage> messages;
  for (int i = 2; i < argc; ++i) {
    messages.push_back({"user", argv[i]});
    const auto answer = session->Chat(messages, options);
    if (!answer) {
      std::fprintf(stderr, "%s\n", answer.error().message.c_str());
      return static_cast<int>(answer.error().kind);
    }
    std::printf("> %s\n%s\n[%zu prompt tokens, %lld of them known]\n", argv[i], answer->text.c_str(),
                answer->prompt.size(), static_cast<long long>(answer->reused_tokens));
    messages.push_back({"assistant", answer->text});
  }
  return 0;
}
