#include "base/authorities.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <stdlib.h>

#include <string>

#include "base/temp_folder_testing.h"

namespace podsense {
namespace {

class Authorities : public ::testing::Test {
 protected:
  Authorities() {
    ::unsetenv("SSL_CERT_FILE");
    ::unsetenv("SSL_CERT_DIR");
  }
  ~Authorities() override {
    ::unsetenv("SSL_CERT_FILE");
    ::unsetenv("SSL_CERT_DIR");
  }

  TempFolder root_;
};

TEST_F(Authorities, AreFoundWhereRedHatSuseAndAlpineHaveThem) {
  for (const std::string place :
       {"etc/pki/tls/certs/ca-bundle.crt", "etc/pki/ca-trust/extracted/pem/tls-ca-bundle.pem",
        "etc/ssl/ca-bundle.pem", "etc/ssl/cert.pem"}) {
    const TempFolder root;
    const auto bundle = root.write(place, "PEM");
    EXPECT_EQ(authorities_elsewhere(root.path()), bundle);
    EXPECT_EQ(authorities_for_curl(root.path()), bundle);
  }
}

TEST_F(Authorities, DebiansAreLeftToTheLibraries) {
  root_.write("etc/ssl/certs/ca-certificates.crt", "PEM");
  root_.write("etc/ssl/cert.pem", "PEM");
  EXPECT_EQ(authorities_elsewhere(root_.path()), "");
  EXPECT_EQ(authorities_for_curl(root_.path()), "");
}

TEST_F(Authorities, AbsentOnesAreNotMadeUp) {
  EXPECT_EQ(authorities_elsewhere(root_.path()), "");
  std::filesystem::create_directories(root_ / "etc/ssl/cert.pem");
  EXPECT_EQ(authorities_elsewhere(root_.path()), "") << "a folder is no bundle";
}

TEST_F(Authorities, ThoseOfTheEnvironmentComeFirst) {
  root_.write("etc/ssl/cert.pem", "PEM");
  ::setenv("SSL_CERT_FILE", "/own.pem", 1);
  EXPECT_EQ(authorities_elsewhere(root_.path()), "") << "OpenSSL reads the variable itself";
  EXPECT_EQ(authorities_for_curl(root_.path()), "/own.pem") << "libcurl does not";
  ::setenv("SSL_CERT_FILE", "", 1);
  EXPECT_NE(authorities_for_curl(root_.path()), "");
  ::setenv("SSL_CERT_DIR", "/own", 1);
  EXPECT_EQ(authorities_elsewhere(root_.path()), "");
}

}  // namespace
}  // namespace podsense
