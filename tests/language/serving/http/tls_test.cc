// HTTPS with a certificate that the test makes itself.
#include <gtest/gtest.h>
#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/ssl.h>
#include <openssl/x509.h>

#include <memory>

#include "language/serving/http/api_fixture.h"
#include "scratch_folder.h"

namespace hone {
namespace {

using testing::ApiWorld;
using testing::ApiWorldOptions;
using testing::Json;
using testing::RawClient;

template <auto kFree>
struct Freed {
  template <class T>
  void operator()(T* object) const {
    kFree(object);
  }
};
using Key = std::unique_ptr<EVP_PKEY, Freed<EVP_PKEY_free>>;
using Certificate = std::unique_ptr<X509, Freed<X509_free>>;

struct SelfSigned {
  Key key{EVP_EC_gen("P-256")};
  Certificate certificate{X509_new()};

  SelfSigned() {
    X509* x509 = certificate.get();
    X509_set_version(x509, 2);
    ASN1_INTEGER_set(X509_get_serialNumber(x509), 1);
    X509_gmtime_adj(X509_getm_notBefore(x509), -60);
    X509_gmtime_adj(X509_getm_notAfter(x509), 3600);
    X509_set_pubkey(x509, key.get());
    X509_NAME* name = X509_get_subject_name(x509);
    X509_NAME_add_entry_by_txt(name, "CN", MBSTRING_ASC, reinterpret_cast<const unsigned char*>("localhost"),
                               -1, -1, 0);
    X509_set_issuer_name(x509, name);
    EXPECT_GT(X509_sign(x509, key.get(), EVP_sha256()), 0);
  }
  void Write(const std::string& certificate_path, const std::string& key_path) const {
    FILE* file = std::fopen(certificate_path.c_str(), "w");
    EXPECT_EQ(PEM_write_X509(file, certificate.get()), 1);
    std::fclose(file);
    file = std::fopen(key_path.c_str(), "w");
    EXPECT_EQ(PEM_write_PrivateKey(file, key.get(), nullptr, nullptr, 0, nullptr, nullptr), 1);
    std::fclose(file);
  }
};

// A client that trusts one certificate.
class TlsClient {
 public:
  TlsClient(uint16_t port, const SelfSigned& trusted, int newest = TLS1_3_VERSION)
      : socket_(port), context_(SSL_CTX_new(TLS_client_method())) {
    X509_STORE_add_cert(SSL_CTX_get_cert_store(context_.get()), trusted.certificate.get());
    SSL_CTX_set_verify(context_.get(), SSL_VERIFY_PEER, nullptr);
    SSL_CTX_set_min_proto_version(context_.get(), TLS1_VERSION);
    SSL_CTX_set_max_proto_version(context_.get(), newest);
    SSL_CTX_set_security_level(context_.get(), newest < TLS1_2_VERSION ? 0 : 1);
    ssl_.reset(SSL_new(context_.get()));
    SSL_set_fd(ssl_.get(), socket_.socket());
    connected_ = SSL_connect(ssl_.get()) == 1;
    ERR_clear_error();
  }
  bool connected() const { return connected_; }
  SSL* ssl() const { return ssl_.get(); }

  void Send(const std::string& bytes) {
    EXPECT_EQ(SSL_write(ssl_.get(), bytes.data(), static_cast<int>(bytes.size())),
              static_cast<int>(bytes.size()));
  }
  // Up to and with `end`.
  std::string ReadUntil(const std::string& end) {
    std::string text;
    char block[4096];
    while (text.find(end) == std::string::npos) {
      const int n = SSL_read(ssl_.get(), block, sizeof(block));
      if (n <= 0) break;
      text.append(block, static_cast<size_t>(n));
    }
    return text;
  }

 private:
  RawClient socket_;
  std::unique_ptr<SSL_CTX, Freed<SSL_CTX_free>> context_;
  std::unique_ptr<SSL, Freed<SSL_free>> ssl_;
  bool connected_ = false;
};

class Tls : public ::testing::Test {
 protected:
  ApiWorldOptions Options() {
    own.Write(scratch.Path("certificate.pem"), scratch.Path("key.pem"));
    ApiWorldOptions options;
    options.http.tls_certificate = scratch.Path("certificate.pem");
    options.http.tls_key = scratch.Path("key.pem");
    return options;
  }
  ScratchFolder scratch;
  SelfSigned own;
};

TEST_F(Tls, AnswersClientsThatTrustItsCertificate) {
  ApiWorld world(Options());
  EXPECT_TRUE(world.http->tls());
  TlsClient client(world.http->port(), own);
  ASSERT_TRUE(client.connected());
  EXPECT_EQ(SSL_get_verify_result(client.ssl()), X509_V_OK);
  EXPECT_STREQ(SSL_get_version(client.ssl()), "TLSv1.3");
  client.Send(RawClient::Request("GET", "/health"));
  EXPECT_NE(client.ReadUntil("}").find(R"({"status":"ok"})"), std::string::npos);
  const Json body{{"prompt", "abc"}, {"max_tokens", 8}, {"stream", true}, {"ignore_eos", true}};
  client.Send(RawClient::Request("POST", "/v1/completions", body.dump()));
  EXPECT_NE(client.ReadUntil("[DONE]").find("[DONE]"), std::string::npos) << "on the same connection";
}

TEST_F(Tls, AnswersManyClientsAtOnce) {
  ApiWorld world(Options());
  std::vector<std::unique_ptr<TlsClient>> clients;
  for (int i = 0; i < 16; ++i) clients.push_back(std::make_unique<TlsClient>(world.http->port(), own));
  const Json body{{"prompt", "abc"}, {"max_tokens", 4}, {"stream", true}};
  for (auto& client : clients) {
    ASSERT_TRUE(client->connected());
    client->Send(RawClient::Request("POST", "/v1/completions", body.dump()));
  }
  for (auto& client : clients) {
    EXPECT_NE(client->ReadUntil("[DONE]").find("[DONE]"), std::string::npos);
  }
}

TEST_F(Tls, FreesTheWorkOfAClientThatVanishes) {
  ApiWorld world(Options());
  {
    TlsClient client(world.http->port(), own);
    const Json body{{"prompt", "abc"}, {"max_tokens", 200}, {"stream", true}, {"ignore_eos", true}};
    client.Send(RawClient::Request("POST", "/v1/completions", body.dump()));
    client.ReadUntil("data: ");
  }
  EXPECT_TRUE(world.WaitIdle());
}

TEST_F(Tls, RefusesOldVersionsPlainTextAndSilence) {
  ApiWorldOptions options = Options();
  options.http.handshake_seconds = 0.3;
  ApiWorld world(options);
  EXPECT_FALSE(TlsClient(world.http->port(), own, TLS1_1_VERSION).connected());
  EXPECT_TRUE(TlsClient(world.http->port(), own, TLS1_2_VERSION).connected());
  RawClient plain(world.http->port());
  plain.Send(RawClient::Request("GET", "/health"));
  EXPECT_EQ(plain.Read(5.0).status, 0);
  RawClient silent(world.http->port());
  EXPECT_TRUE(silent.Closed(5.0)) << "a handshake that does not come";
  EXPECT_TRUE(TlsClient(world.http->port(), own).connected()) << "the server lives";
}

TEST_F(Tls, IsNotTrustedByThoseWhoExpectAnotherCertificate) {
  ApiWorld world(Options());
  EXPECT_FALSE(TlsClient(world.http->port(), SelfSigned()).connected());
}

TEST_F(Tls, NamesTheFileThatIsWrong) {
  const ApiWorldOptions good = Options();
  const auto ignore = [](std::shared_ptr<HttpExchange>) {};
  HttpServerOptions options = good.http;
  options.tls_key = "";
  EXPECT_FALSE(HttpServer::Start(options, ignore));
  options.tls_key = good.http.tls_certificate;
  const auto no_key = HttpServer::Start(options, ignore);
  ASSERT_FALSE(no_key);
  EXPECT_NE(no_key.error().message.find("certificate.pem"), std::string::npos) << no_key.error().message;
  SelfSigned().Write(scratch.Path("other.pem"), scratch.Path("other-key.pem"));
  options.tls_key = scratch.Path("other-key.pem");
  const auto foreign = HttpServer::Start(options, ignore);
  ASSERT_FALSE(foreign) << "the key of another certificate";
  EXPECT_NE(foreign.error().message.find("other-key.pem"), std::string::npos) << foreign.error().message;
}

}  // namespace
}  // namespace hone
