// The web page: in headless Chromium with a small random model, and with answers made up by the test.
#include "language/serving/http/api_fixture.h"
#include "language/serving/http/browser.h"

namespace hone {
namespace {

using testing::ApiWorld;
using testing::ApiWorldOptions;
using testing::Browser;
using testing::Json;
using testing::Messages;

// The server's routes behind a door that notes what was asked and may answer chats itself.
class PageWorld {
 public:
  explicit PageWorld(const ApiWorldOptions& options = {}) : world(options) {
    auto started = HttpServer::Start({}, [this](std::shared_ptr<HttpExchange> exchange) {
      if (exchange->request().path == "/v1/chat/completions") {
        const std::lock_guard lock(mutex_);
        asked_.push_back(Json::parse(exchange->request().body, nullptr, false));
        if (answer) return answer(std::move(exchange));
      }
      world.api.Handle(std::move(exchange));
    });
    EXPECT_TRUE(started) << started.error().message;
    door_ = std::move(*started);
  }
  std::string url() const { return "http://127.0.0.1:" + std::to_string(door_->port()) + "/"; }
  std::vector<Json> asked() {
    const std::lock_guard lock(mutex_);
    return asked_;
  }

  ApiWorld world;
  std::function<void(std::shared_ptr<HttpExchange>)> answer;

 private:
  std::mutex mutex_;
  std::vector<Json> asked_;
  std::unique_ptr<HttpServer> door_;
};

std::string Piece(const std::string& text) {
  const Json chunk{{"choices", {{{"index", 0}, {"delta", {{"content", text}}}, {"finish_reason", nullptr}}}}};
  return "data: " + chunk.dump() + "\n\n";
}

// Streams `text` in pieces of a few bytes.
std::function<void(std::shared_ptr<HttpExchange>)> Telling(const std::string& text) {
  return [text](std::shared_ptr<HttpExchange> exchange) {
    exchange->BeginStream({.content_type = "text/event-stream; charset=utf-8"});
    for (size_t at = 0; at < text.size(); at += 7) exchange->Send(Piece(text.substr(at, 7)));
    exchange->Send("data: [DONE]\n\n");
    exchange->EndStream();
  };
}

constexpr const char* kComplete = "document.getElementById('announcement').textContent.startsWith('Answer')";
constexpr const char* kEnter = "\uE007";
constexpr const char* kEscape = "\uE00C";

#define NEED_BROWSER() \
  if (!Browser::IsInstalled()) GTEST_SKIP() << "chromium and chromium-driver are not installed"

TEST(WebPage, IsServedWithItsFilesUnderAPolicyThatForbidsInlineScripts) {
  ApiWorld world;
  const auto page = world.Get("/");
  EXPECT_EQ(page.status, 200);
  EXPECT_EQ(page.header("Content-Type"), "text/html; charset=utf-8");
  const std::string policy = page.header("Content-Security-Policy");
  EXPECT_NE(policy.find("default-src 'none'; script-src 'self'; style-src 'self';"), std::string::npos)
      << policy;
  EXPECT_EQ(policy.find("unsafe"), std::string::npos);
  EXPECT_EQ(page.header("X-Content-Type-Options"), "nosniff");
  for (const char* inline_code : {"<style", " style=", "onclick", "onload", "http://", "https://"}) {
    EXPECT_EQ(page.body.find(inline_code), std::string::npos) << inline_code;
  }
  for (const StaticAsset& asset : StaticAssets()) {
    const auto file = world.Get(std::string(asset.path));
    EXPECT_EQ(file.status, 200) << asset.path;
    EXPECT_EQ(file.body, asset.body);
    EXPECT_EQ(file.header("Content-Type"), asset.content_type);
    // No sink that makes markup of text.
    for (const char* sink : {"innerHTML", "outerHTML", "insertAdjacentHTML", "document.write", "eval("}) {
      EXPECT_EQ(file.body.find(sink), std::string::npos) << asset.path << " " << sink;
    }
  }
  EXPECT_GE(StaticAssets().size(), 7u);
}

TEST(WebPage, IsOpenWhereTheApiNeedsAKey) {
  ApiWorldOptions options;
  options.api.api_keys = {"secret"};
  ApiWorld world(options);
  EXPECT_EQ(world.Get("/").status, 200);
  EXPECT_EQ(world.Get("/page/chat.js").status, 200);
  EXPECT_EQ(world.Get("/status").status, 401);
  EXPECT_EQ(world.Get("/status", {"Authorization: Bearer secret"}).status, 200);
}

TEST(WebPage, StatusTellsHowFarEveryRequestIs) {
  ApiWorld world;
  Json idle = Json::parse(world.Get("/status").body);
  EXPECT_EQ(idle["model"], "tiny");
  EXPECT_EQ(idle["schedule"], "semi-pd");
  EXPECT_EQ(idle["jobs"], Json::array());
  EXPECT_EQ(idle["shares"], (Json{{"prefill", 100.0}, {"decode", 100.0}}));
  EXPECT_EQ(idle["lanes"][1]["name"], "decode");
  testing::RawClient client(world.http->port());
  client.Send(testing::RawClient::Request(
      "POST", "/v1/completions",
      R"({"prompt": "x", "max_tokens": 240, "ignore_eos": true, "stream": true})"));
  ASSERT_TRUE(
      client.ReadUntil([](const std::string& text) { return text.find("data: ") != std::string::npos; }));
  Json busy = Json::parse(world.Get("/status").body);
  if (busy["decode"] == 1) {  // it may be over by now
    ASSERT_EQ(busy["jobs"].size(), 1u);
    EXPECT_EQ(busy["jobs"][0]["answer_tokens"], 240);
    EXPECT_GE(busy["jobs"][0]["answered"], 1);
    EXPECT_GT(busy["cache"]["bytes"], 0);
  }
  EXPECT_TRUE(world.WaitIdle());
  EXPECT_EQ(Json::parse(world.Get("/status").body)["answer_tokens"], 240);
}

TEST(WebPage, ChatsWithTheModelAndRegenerates) {
  NEED_BROWSER();
  PageWorld page;
  Browser browser;
  browser.Open(page.url());
  ASSERT_TRUE(browser.WaitFor("document.getElementById('state').textContent === 'ready'"));
  EXPECT_EQ(browser.Text("#model"), "tiny");
  browser.Click("#settings > summary");
  for (const auto& [field, value] :
       {std::pair{"#temperature", "0"}, {"#max-tokens", "24"}, {"#seed", "7"}, {"#system", "Be brief."}}) {
    browser.Clear(field);
    browser.Type(field, value);
  }
  browser.Type("#prompt", std::string("Hello <b>you</b>") + kEnter);
  ASSERT_TRUE(browser.WaitFor(kComplete));
  const Json expected =
      page.world.Ask("/v1/chat/completions", {{"messages",
                                               {{{"role", "system"}, {"content", "Be brief."}},
                                                {{"role", "user"}, {"content", "Hello <b>you</b>"}}}},
                                              {"temperature", 0},
                                              {"top_p", 0.95},
                                              {"max_tokens", 24},
                                              {"seed", 7}});
  const std::string text = expected["choices"][0]["message"]["content"];
  // As the page's own renderer draws it.
  const char* same =
      "return import('/page/markdown.js').then((m) => m.renderMarkdown(arguments[0]).textContent === "
      "[...document.querySelectorAll('article.assistant .body')].at(-1).textContent)";
  EXPECT_EQ(browser.Script(same, {text}), true) << browser.Text("article.assistant .body") << "\n" << text;
  EXPECT_EQ(browser.Text("article.user .body"), "Hello <b>you</b>");
  EXPECT_NE(browser.Text("article.assistant .foot").find("seed 7"), std::string::npos);
  EXPECT_NE(browser.Text("#announcement").find("24 tokens"), std::string::npos);
  EXPECT_EQ(browser.Script("return document.activeElement.id"), "prompt");

  // Once more: the same place, the seed after, which at temperature 0 gives the same answer.
  browser.Script("document.getElementById('announcement').textContent = ''");
  browser.Click("#regenerate");
  ASSERT_TRUE(browser.WaitFor(kComplete));
  EXPECT_EQ(browser.Script("return document.querySelectorAll('article').length"), 2);
  EXPECT_EQ(browser.Script(same, {text}), true);
  EXPECT_EQ(page.asked().back()["seed"], 8);

  // The second message takes the conversation along.
  browser.Script("document.getElementById('announcement').textContent = ''");
  browser.Type("#prompt", std::string("More") + kEnter);
  ASSERT_TRUE(browser.WaitFor(kComplete));
  const Json last = page.asked().back();
  ASSERT_EQ(last["messages"].size(), 4u) << last.dump();
  EXPECT_EQ(last["messages"][2]["content"], text);
  EXPECT_EQ(last["stream"], true);

  browser.Click("#new-chat");
  EXPECT_EQ(browser.Script("return document.querySelectorAll('article').length"), 0);
  EXPECT_EQ(browser.Complaints(), std::vector<std::string>());
}

TEST(WebPage, StopsAnAnswerAndLetsTheServerKnow) {
  NEED_BROWSER();
  PageWorld page;
  std::atomic<int> gone{0};
  std::shared_ptr<HttpExchange> kept;
  page.answer = [&](std::shared_ptr<HttpExchange> exchange) {
    exchange->OnGone([&gone] { ++gone; });
    exchange->BeginStream({.content_type = "text/event-stream; charset=utf-8"});
    exchange->Send(Piece("Once upon"));
    kept = std::move(exchange);  // and never ends
  };
  Browser browser;
  browser.Open(page.url());
  int stopped = 0;
  for (const std::string way : {"click", "key"}) {
    browser.Type("#prompt", std::string("Tell") + kEnter);
    ASSERT_TRUE(browser.WaitFor("document.querySelector('article.busy .body')?.textContent === 'Once upon'"));
    EXPECT_EQ(browser.Script("return document.getElementById('send').hidden"), true);
    EXPECT_EQ(browser.Script("return document.querySelector('article.busy').getAttribute('aria-busy')"),
              "true");
    if (way == "click") {
      browser.Click("#stop");
    } else {
      browser.Type("#prompt", kEscape);
    }
    ++stopped;
    for (int i = 0; i < 2000 && gone < stopped; ++i)
      std::this_thread::sleep_for(std::chrono::milliseconds(5));
    EXPECT_EQ(gone, stopped) << way;
    ASSERT_TRUE(browser.WaitFor("!document.querySelector('article.busy')"));
    EXPECT_NE(browser.Text("article:last-of-type .foot").find("stopped"), std::string::npos);
    EXPECT_EQ(browser.Text("article:last-of-type .body"), "Once upon");
    EXPECT_EQ(browser.Script("return document.getElementById('send').hidden"), false);
  }
  EXPECT_EQ(browser.Complaints(), std::vector<std::string>());
}

TEST(WebPage, DrawsMarkdownAndNeverRunsWhatAModelWrites) {
  NEED_BROWSER();
  PageWorld page;
  page.answer = Telling(
      "# Title\n\nSome **bold**, *slanted* and `code <b>`.\n\n- one\n- two\n  1. deep\n\n"
      "```html\n<script>window.hacked = 1</script>\n```\n\n| a | b |\n|---|---|\n| 1 | 2 |\n\n> said\n\n"
      "<img src=x onerror=\"window.hacked = 1\"><script>window.hacked = 1</script>\n\n"
      "[go](javascript:window.hacked=1) [fine](https://example.org/a) ![seen](https://example.org/b.png)\n\n"
      "<a href=\"javascript:window.hacked=1\">x</a> [d](data:text/html,x) 2 * 3 * 4 and snake_case_name");
  Browser browser;
  browser.Open(page.url());
  browser.Type("#prompt", std::string("Go") + kEnter);
  ASSERT_TRUE(browser.WaitFor(kComplete));
  const auto count = [&](const std::string& selector) {
    return browser.Script("return document.querySelectorAll('article .body ' + arguments[0]).length",
                          {selector});
  };
  EXPECT_EQ(browser.Text(".body h3"), "Title");
  EXPECT_EQ(browser.Text(".body strong"), "bold");
  EXPECT_EQ(browser.Text(".body em"), "slanted");
  EXPECT_EQ(browser.Text(".body p code"), "code <b>");
  EXPECT_EQ(count("ul > li"), 2);
  EXPECT_EQ(browser.Text(".body ul ol li"), "deep");
  EXPECT_EQ(browser.Text(".body pre code"), "<script>window.hacked = 1</script>");
  EXPECT_EQ(browser.Text(".body td"), "1");
  EXPECT_EQ(browser.Text(".body blockquote"), "said");
  EXPECT_EQ(count("em"), 1);
  for (const char* element : {"img", "script", "iframe", "b"}) EXPECT_EQ(count(element), 0) << element;
  EXPECT_EQ(count("a"), 2);  // the good link, and the picture's
  EXPECT_EQ(browser.Script("return [...document.querySelectorAll('.body a')].every((a) => "
                           "a.href.startsWith('https://example.org/') && a.rel.includes('noopener'))"),
            true);
  EXPECT_EQ(browser.Script("return typeof window.hacked"), "undefined");
  EXPECT_NE(browser.Text("article.assistant .body").find("snake_case_name"), std::string::npos);
  EXPECT_EQ(browser.Complaints(), std::vector<std::string>());
}

// Text that is all marks or all brackets must not stop the page.
TEST(WebPage, DrawsTextsOfNothingButMarksInTime) {
  NEED_BROWSER();
  PageWorld page;
  Browser browser;
  browser.Open(page.url());
  const char* seconds =
      "return import('/page/markdown.js').then((m) => { const begin = performance.now(); "
      "m.renderMarkdown(arguments[0].repeat(arguments[1])); return (performance.now() - begin) / 1000; })";
  for (const char* text :
       {"*",  "**a ", "*a **b ", "`",      "``a`",  "[",       "[a](",  "![",      "_a_", "> ",     "- ",
        "| ", "~~",   "#",       "1. a\n", "> a\n", "|a|b|\n", "```\n", "- a\n  ", "\n",  "http://"}) {
    EXPECT_LT(browser.Script(seconds, {text, 8000}).get<double>(), 30.0) << text;
  }
  EXPECT_EQ(browser.Complaints(), std::vector<std::string>());
}

TEST(WebPage, AsksForTheKeyWhereOneIsNeeded) {
  NEED_BROWSER();
  ApiWorldOptions options;
  options.api.api_keys = {"secret"};
  PageWorld page(options);
  Browser browser;
  browser.Open(page.url());
  ASSERT_TRUE(browser.WaitFor("!document.getElementById('key-row').hidden"));
  EXPECT_EQ(browser.Text("#state"), "needs an API key");
  browser.Type("#api-key", "wrong");
  browser.Type("#prompt", std::string("Hello") + kEnter);
  ASSERT_TRUE(browser.WaitFor("!document.getElementById('problem').hidden"));
  EXPECT_EQ(browser.Text("#problem"), "the API key is not valid");
  browser.Clear("#api-key");
  browser.Type("#api-key", "secret");
  browser.Script("document.getElementById('announcement').textContent = ''");
  browser.Click("#regenerate");  // the message is still there
  ASSERT_TRUE(browser.WaitFor("document.getElementById('state').textContent === 'ready'"));
  ASSERT_TRUE(browser.WaitFor(kComplete));
  EXPECT_EQ(browser.Script("return document.querySelectorAll('article.assistant').length"), 1);
  EXPECT_EQ(browser.Script("return document.getElementById('problem').hidden"), true);
  EXPECT_EQ(browser.Script("return JSON.stringify(localStorage).includes('secret')"), false);
}

TEST(WebPage, ShowsTheMachineAtWork) {
  NEED_BROWSER();
  ApiWorldOptions options;
  options.kv_limit = 8 << 20;
  PageWorld page(options);
  Browser browser;
  browser.Open(page.url());
  ASSERT_TRUE(
      browser.WaitFor("document.getElementById('schedule').textContent.startsWith('semi-pd, 100:100')"));
  EXPECT_EQ(browser.Text("#batch"), "idle");
  EXPECT_EQ(browser.Script("return document.getElementById('cache-meter').hidden"), false);
  EXPECT_NE(browser.Text("#cache").find("of 8.0 MiB"), std::string::npos) << browser.Text("#cache");
  std::atomic<bool> stop{false};
  std::thread load([&] {
    while (!stop)
      page.world.Ask("/v1/completions", {{"prompt", "abc"}, {"max_tokens", 200}, {"ignore_eos", true}});
  });
  EXPECT_TRUE(
      browser.WaitFor("document.querySelectorAll('#jobs li').length > 0 && "
                      "document.getElementById('batch').textContent.includes('1 being')"));
  EXPECT_TRUE(
      browser.WaitFor("Number(document.getElementById('answer-speed').textContent.replace(',', '')) > 0"));
  EXPECT_TRUE(browser.WaitFor("document.querySelectorAll('#phases .bar').length === 2"));
  EXPECT_TRUE(browser.WaitFor("document.getElementById('cache-meter').value > 0"));
  stop = true;
  load.join();
  EXPECT_EQ(browser.Complaints(), std::vector<std::string>());
}

// The ratio of WCAG between an element's text and the colour behind it.
constexpr const char* kContrast = R"(
  const parse = (c) => c.match(/[\d.]+/g).map(Number);
  const light = (c) => parse(c).slice(0, 3).map((v) => v / 255)
    .map((v) => v <= 0.03928 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4)
    .reduce((sum, v, i) => sum + v * [0.2126, 0.7152, 0.0722][i], 0);
  const element = document.querySelector(arguments[0]);
  let behind = element;
  while (parse(getComputedStyle(behind).backgroundColor)[3] === 0) behind = behind.parentElement;
  const a = light(getComputedStyle(element).color), b = light(getComputedStyle(behind).backgroundColor);
  return (Math.max(a, b) + 0.05) / (Math.min(a, b) + 0.05);)";

TEST(WebPage, FitsPhonesBothColorSchemesKeyboardsAndScreenReaders) {
  NEED_BROWSER();
  PageWorld page;
  page.answer =
      Telling("| a long table | with | many columns | and | more | of | them |\n|-|-|-|-|-|-|-|\n\n" +
              std::string(400, 'x') + "\n\n```\n" + std::string(300, 'y') + "\n```");
  Browser browser;
  browser.Open(page.url());
  for (const auto& [field, label] : {std::pair{"#prompt", "Message"},
                                     {"#log", "Conversation"},
                                     {"#send", "Send"},
                                     {"#new-chat", "New chat"},
                                     {"aside", "Settings and machine"}}) {
    EXPECT_EQ(browser.Label(field), label);
  }
  browser.Click("#settings > summary");
  for (const auto& [field, label] : {std::pair{"#system", "System prompt"},
                                     {"#temperature", "Temperature"},
                                     {"#top-p", "Top-p"},
                                     {"#max-tokens", "Max tokens"},
                                     {"#seed", "Seed"}}) {
    EXPECT_EQ(browser.Label(field), label);
  }
  EXPECT_EQ(browser.Script("return document.getElementById('log').getAttribute('role')"), "log");
  EXPECT_EQ(browser.Script("return document.documentElement.lang"), "en");
  // A number that may not be is said, and nothing is asked.
  browser.Clear("#temperature");
  browser.Type("#temperature", "9");
  browser.Type("#prompt", std::string("Go") + kEnter);
  EXPECT_EQ(browser.Script("return document.activeElement.id"), "temperature");
  EXPECT_TRUE(page.asked().empty());
  browser.Clear("#temperature");
  browser.Type("#temperature", "1");
  browser.Type("#prompt", kEnter);  // the message is still there
  ASSERT_TRUE(browser.WaitFor(kComplete));

  std::string background;
  for (const std::string scheme : {"light", "dark"}) {
    browser.PreferColors(scheme);
    for (const char* text : {"article.user .body", "#state", "#hint", "#send", "article.assistant .foot",
                             "aside label", ".body code", "header h1"}) {
      EXPECT_GE(browser.Script(kContrast, {text}).get<double>(), 4.5) << scheme << " " << text;
    }
    const std::string now = browser.Script("return getComputedStyle(document.body).backgroundColor");
    EXPECT_NE(now, background);
    background = now;
  }
  browser.Resize(360, 640);
  EXPECT_EQ(browser.Script("return document.documentElement.scrollWidth"), 360);
  EXPECT_EQ(browser.Script("const b = document.getElementById('send').getBoundingClientRect(); "
                           "return b.right <= 360 && b.bottom <= 640 && b.height >= 24"),
            true);
  EXPECT_EQ(browser.Complaints(), std::vector<std::string>());
}

}  // namespace
}  // namespace hone
