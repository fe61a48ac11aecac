#include <gtest/gtest.h>

#include <algorithm>
#include <cctype>
#include <string>
#include <vector>

#include "fetch/address.h"
#include "fetch/fetch.h"

namespace podsense::fetch {
namespace {

constexpr auto kBad = ErrorCode::kInvalidArgument;
constexpr auto kDenied = ErrorCode::kPermissionDenied;

UrlPolicy policy(const Options& options = {}) {
  return UrlPolicy::create(options).value();
}

struct Hostile {
  std::string url;
  ErrorCode code;
  std::string message;  // how it starts
};

const std::string leads = "the URL leads to ";
const std::string loopback = leads + "a loopback address, which is not allowed";
const std::string private_address = leads + "a private address, which is not allowed";
const std::string metadata = leads + "a cloud metadata address, which is not allowed";
const std::string local_name = "the host is a local name, which is not allowed";
const std::string not_number = "the host ends in a number but is not an IPv4 address";
const std::string not_idn = "the host is not a valid international name";
const std::string encoded = "the host has a percent-encoded character";
const std::string credentials = "the URL has credentials before an '@'";
const std::string odd_byte = "the URL has a control character or a backslash at byte ";
const std::string odd_character = "the host has a character other than letters, digits";
const std::string not_absolute = "the URL is not absolute";
const std::string other_scheme = "the URL must start with http:// or https://";
const std::string no_host = "the URL has no host";
const std::string bad_port = "the port is not a number from 1 to 65535";
const std::string bad_v6 = "the host is not an IPv6 address in brackets";
const std::string zone = "the host has an IPv6 zone";
const std::string bad_label = "the host has a part that is not 1 to 63 characters long";

// NOLINTNEXTLINE(readability-function-size): a table
std::vector<Hostile> hostile_urls() {
  return {
      // IPv4 in every spelling that some resolver takes.
      {"http://127.0.0.1/", kDenied, loopback},
      {"http://127.1/", kDenied, loopback},
      {"http://127.0.1/", kDenied, loopback},
      {"http://127.255.255.254/", kDenied, loopback},
      {"http://2130706433/", kDenied, loopback},
      {"http://017700000001/", kDenied, loopback},
      {"http://0x7f000001/", kDenied, loopback},
      {"http://0X7F000001/", kDenied, loopback},
      {"http://0x7f.0x0.0x0.0x1/", kDenied, loopback},
      {"http://0x7f.1/", kDenied, loopback},
      {"http://0177.0.0.1/", kDenied, loopback},
      {"http://0177.0.0.01/", kDenied, loopback},
      {"http://00000177.0x0.0.1/", kDenied, loopback},
      {"http://127.0.0.1./", kDenied, loopback},
      {"http://0x7f000001./", kDenied, loopback},
      {"http://2130706433./", kDenied, loopback},
      {"http://127.1.:80/", kDenied, loopback},
      {"http://0/", kDenied, leads + "an unspecified address"},
      {"http://0.0.0.0/", kDenied, leads + "an unspecified address"},
      {"http://0x0/", kDenied, leads + "an unspecified address"},
      {"http://10.0.0.1/", kDenied, private_address},
      {"http://012.0.0.1/", kDenied, private_address},
      {"http://167772161/", kDenied, private_address},
      {"http://172.16.0.1/", kDenied, private_address},
      {"http://0xac.0x10.1/", kDenied, private_address},
      {"http://192.168.1.1/", kDenied, private_address},
      {"http://192.168.257/", kDenied, private_address},
      {"http://3232235777/", kDenied, private_address},
      {"http://100.64.0.1/", kDenied, leads + "a shared (carrier-grade NAT) address"},
      {"http://169.254.1.1/", kDenied, leads + "a link-local address"},
      {"http://169.254.169.254/latest/meta-data/", kDenied, metadata},
      {"http://2852039166/", kDenied, metadata},
      {"http://0xa9fea9fe/", kDenied, metadata},
      {"http://0251.0376.0251.0376/", kDenied, metadata},
      {"http://169.254.43518/", kDenied, metadata},
      {"http://168.63.129.16/", kDenied, metadata},
      {"http://100.100.100.200/", kDenied, metadata},
      {"http://192.0.0.192/", kDenied, metadata},
      {"http://224.0.0.1/", kDenied, leads + "a multicast address"},
      {"http://240.0.0.1/", kDenied, leads + "a reserved address"},
      {"http://255.255.255.255/", kDenied, leads + "a broadcast address"},
      {"http://4294967295/", kDenied, leads + "a broadcast address"},
      {"http://198.18.0.1/", kDenied, leads + "a benchmarking address"},
      {"http://203.0.113.7/", kDenied, leads + "a documentation address"},
      {"http://192.88.99.1/", kDenied, leads + "a 6to4 relay address"},
      {"http://4294967296/", kBad, not_number},
      {"http://256.256.256.256/", kBad, not_number},
      {"http://127.0.0.256/", kBad, not_number},
      {"http://1.2.3.4.5/", kBad, not_number},
      {"http://08.8.8.8/", kBad, not_number},
      {"http://0x/", kBad, not_number},
      {"http://0xg/", kDenied, local_name},
      {"http://example.1/", kBad, not_number},
      {"http://example.0x1/", kBad, not_number},
      {"http://127.0.0.0x/", kBad, not_number},
      {"http://99999999999999999999/", kBad, not_number},
      {"http://127.0.0.1../", kBad, bad_label},
      {"http://127..1/", kBad, bad_label},
      // IPv6.
      {"http://[::1]/", kDenied, loopback},
      {"http://[0:0:0:0:0:0:0:1]/", kDenied, loopback},
      {"http://[0000:0000:0000:0000:0000:0000:0000:0001]/", kDenied, loopback},
      {"http://[::]/", kDenied, leads + "an unspecified address"},
      {"http://[::ffff:127.0.0.1]/", kDenied, leads + "an IPv4-mapped IPv6 address"},
      {"http://[::ffff:7f00:1]/", kDenied, leads + "an IPv4-mapped IPv6 address"},
      {"http://[::FFFF:A9FE:A9FE]/", kDenied, leads + "an IPv4-mapped IPv6 address"},
      {"http://[::127.0.0.1]/", kDenied, leads + "an IPv4-compatible IPv6 address"},
      {"http://[::ffff:0:127.0.0.1]/", kDenied, leads + "an IPv4-translated IPv6 address"},
      {"http://[2002:7f00:1::]/", kDenied, leads + "a 6to4 address"},
      {"http://[2002:a9fe:a9fe::1]/", kDenied, leads + "a 6to4 address"},
      {"http://[64:ff9b::7f00:1]/", kDenied, leads + "a NAT64 address"},
      {"http://[64:ff9b::169.254.169.254]/", kDenied, leads + "a NAT64 address"},
      {"http://[64:ff9b:1::a00:1]/", kDenied, leads + "a local NAT64 address"},
      {"http://[2001::1]/", kDenied, leads + "a Teredo address"},
      {"http://[2001:10::1]/", kDenied, leads + "an ORCHID address"},
      {"http://[2001:db8::1]/", kDenied, leads + "a documentation address"},
      {"http://[fe80::1]/", kDenied, leads + "a link-local address"},
      {"http://[fec0::1]/", kDenied, leads + "a site-local address"},
      {"http://[fc00::1]/", kDenied, leads + "a unique-local address"},
      {"http://[fd00:ec2::254]/", kDenied, metadata},
      {"http://[fd20:ce::254]/", kDenied, metadata},
      {"http://[ff02::1]/", kDenied, leads + "a multicast address"},
      {"http://[100::1]/", kDenied, leads + "a reserved address"},
      {"http://[fe80::1%25eth0]/", kBad, zone},
      {"http://[fe80::1%eth0]/", kBad, zone},
      {"http://[::1%251]/", kBad, zone},
      {"http://[%3a%3a1]/", kBad, zone},
      {"http://[127.0.0.1]/", kBad, bad_v6},
      {"http://[::1/", kBad, bad_v6},
      {"http://[]/", kBad, bad_v6},
      {"http://[::1].example.com/", kBad, bad_port},
      {"http://[::1]example.com/", kBad, bad_port},
      {"http://[v1.fe80::1]/", kBad, bad_v6},
      {"http://[[::1]]/", kBad, bad_v6},
      {"http://[:::1]/", kBad, bad_v6},
      {"http://[example.com]/", kBad, bad_v6},
      {"http://::1/", kBad, no_host},
      {"http://fe80::1/", kBad, bad_port},
      // Names.
      {"http://localhost/", kDenied, local_name},
      {"http://LOCALHOST/", kDenied, local_name},
      {"http://localhost./", kDenied, local_name},
      {"http://a.localhost/", kDenied, local_name},
      {"http://localhost.localdomain/", kDenied, local_name},
      {"http://printer.local/", kDenied, local_name},
      {"http://printer.local./", kDenied, local_name},
      {"http://metadata/", kDenied, local_name},
      {"http://metadata.google.internal/computeMetadata/v1/", kDenied, local_name},
      {"http://METADATA.GOOGLE.INTERNAL./", kDenied, local_name},
      {"http://kubernetes/", kDenied, local_name},
      {"http://kubernetes.default.svc/", kDenied, local_name},
      {"http://kubernetes.default.svc.cluster.local/", kDenied, local_name},
      {"http://router.home.arpa/", kDenied, local_name},
      {"http://nas.lan/", kDenied, local_name},
      {"http://example.com../", kBad, bad_label},
      {"http://.example.com/", kBad, bad_label},
      {"http://./", kBad, "the host is not a name of 1 to 253 characters"},
      {"http://../", kBad, bad_label},
      {"http://" + std::string(64, 'a') + ".com/", kBad, bad_label},
      {"http://" + std::string(250, 'a') + ".com/", kBad, "the host is not a name of 1 to 253"},
      // Credentials.
      {"http://user@example.com/", kBad, credentials},
      {"http://user:password@example.com/", kBad, credentials},
      {"http://@example.com/", kBad, credentials},
      {"http://:@example.com/", kBad, credentials},
      {"http://example.com@127.0.0.1/", kBad, credentials},
      {"http://example.com:80@127.0.0.1:80/", kBad, credentials},
      {"http://example.com:80@127.0.0.1#@example.com/", kBad, credentials},
      {"http://a@b@127.0.0.1/", kBad, credentials},
      {"http://example.com&@127.0.0.1/", kBad, credentials},
      {"http://127.0.0.1%40example.com/", kBad, encoded},
      // Encoded, wide and look-alike hosts.
      {"http://%31%32%37.0.0.1/", kBad, encoded},
      {"http://127%2e0.0.1/", kBad, encoded},
      {"http://local%68ost/", kBad, encoded},
      {"http://example.com%00.evil.test/", kBad, encoded},
      {"http://example.com%23.evil.test/", kBad, encoded},
      {"http://127%E3%80%820.0.1/", kBad, encoded},
      {"http://127\u30020\u30020\u30021/", kDenied, loopback},
      {"http://\uff11\uff12\uff17.0.0.1/", kDenied, loopback},
      {"http://127\uff0e0\uff0e0\uff0e1/", kDenied, loopback},
      {"http://[::\uff11]/", kBad, "the host is not an IPv6 address in brackets"},
      {"http://\u2460\u2461\u2466.\u24ea.\u24ea.\u2460/", kDenied, loopback},
      {"http://\u24dbocalhost/", kDenied, local_name},
      {"http://meta\u200ddata.internal/", kBad, not_idn},
      {"http://example.com\xff/", kBad, not_idn},
      {"http://\xc3.example.com/", kBad, not_idn},
      {"http://example.com\uff0f.evil.test/", kBad, odd_character},
      {"http://example.com\uff1f.evil.test/", kBad, odd_character},
      {"http://example.com\uff20evil.test/", kBad, odd_character},
      {"http://user@ex\u00e4mple.com/", kBad, credentials},
      // Characters that parsers disagree on.
      {"http://127.0.0.1\\@example.com/", kBad, odd_byte + "16"},
      {"http:\\\\127.0.0.1\\", kBad, odd_byte + "5"},
      {"http://example.com\\.evil.test/", kBad, odd_byte + "18"},
      {"http://exa mple.com/", kBad, odd_character},
      {"http://exam\tple.com/", kBad, odd_byte + "11"},
      {"ht\ntp://example.com/", kBad, odd_byte + "2"},
      {"http://example.com/\r\nHost: 127.0.0.1\r\n", kBad, odd_byte + "19"},
      {"http://example.com/\nX: y", kBad, odd_byte + "19"},
      {std::string("http://example.com\0.evil.test/", 30), kBad, odd_byte + "18"},
      {"http://example.com/\x7f", kBad, odd_byte + "19"},
      {"http://example.com/\x1b[0m", kBad, odd_byte + "19"},
      {"http://example.com;127.0.0.1/", kBad, odd_character},
      {"http://example.com,127.0.0.1/", kBad, odd_character},
      {"http://$(id).example.com/", kBad, odd_character},
      {"http://{a,b}.example.com/", kBad, odd_character},
      {"http://example.com*/", kBad, odd_character},
      {"http://example.com!/", kBad, odd_character},
      {"http://<example.com>/", kBad, odd_character},
      // No host, no scheme, another scheme.
      {"", kBad, "the URL is empty"},
      {"http", kBad, not_absolute},
      {"http:", kBad, not_absolute},
      {"http:/", kBad, not_absolute},
      {"http://", kBad, no_host},
      {"http:///", kBad, no_host},
      {"http:///127.0.0.1/", kBad, no_host},
      {"http://?q", kBad, no_host},
      {"http://#", kBad, no_host},
      {"http://:80/", kBad, no_host},
      {"http:/127.0.0.1/", kBad, not_absolute},
      {"http:127.0.0.1", kBad, not_absolute},
      {"//127.0.0.1/", kBad, not_absolute},
      {"/etc/passwd", kBad, not_absolute},
      {"127.0.0.1/", kBad, not_absolute},
      {"example.com", kBad, not_absolute},
      {"localhost:80/", kBad, other_scheme},
      {"file:///etc/passwd", kBad, other_scheme},
      {"FILE:///etc/passwd", kBad, other_scheme},
      {"ftp://example.com/", kBad, other_scheme},
      {"gopher://127.0.0.1:6379/_INFO", kBad, other_scheme},
      {"dict://127.0.0.1:11211/stat", kBad, other_scheme},
      {"ldap://127.0.0.1/", kBad, other_scheme},
      {"data:image/png;base64,AAAA", kBad, other_scheme},
      {"javascript:alert(1)", kBad, other_scheme},
      {"httpx://example.com/", kBad, other_scheme},
      {"ws://example.com/", kBad, other_scheme},
      {"url:http://example.com/", kBad, other_scheme},
      {"view-source:http://127.0.0.1/", kBad, other_scheme},
      // Ports.
      {"http://example.com:22/", kDenied, "port 22 is not allowed; allowed are: 80, 443"},
      {"http://example.com:6379/", kDenied, "port 6379 is not allowed"},
      {"https://example.com:8443/", kDenied, "port 8443 is not allowed"},
      {"http://127.0.0.1:22/", kDenied, "port 22 is not allowed"},
      {"http://example.com:0/", kBad, bad_port},
      {"http://example.com:65536/", kBad, bad_port},
      {"http://example.com:4294967376/", kBad, bad_port},
      {"http://example.com:-80/", kBad, bad_port},
      {"http://example.com:+80/", kBad, bad_port},
      {"http://example.com:0x50/", kBad, bad_port},
      {"http://example.com:80:80/", kBad, bad_port},
      {"http://example.com:80a/", kBad, bad_port},
      {"http://[::1]:x/", kBad, bad_port},
      // Length.
      {"http://example.com/" + std::string(8174, 'a'), kBad, "the URL has 8193 bytes"},
      {"http://" + std::string(100'000, 'a'), kBad, "the URL has 100007 bytes"},
  };
}

TEST(UrlPolicy, RefusesHostileUrlsWithTheirReason) {
  const auto gate = policy();
  const auto urls = hostile_urls();
  EXPECT_GE(urls.size(), 80U);
  for (const Hostile& each : urls) {
    const auto result = gate.check_url(each.url);
    ASSERT_FALSE(result) << each.url.substr(0, 80) << " passed as " << result->url;
    EXPECT_EQ(result.error().code, each.code) << each.url.substr(0, 80);
    EXPECT_TRUE(result.error().message.starts_with(each.message))
        << each.url.substr(0, 80) << ": " << result.error().message;
  }
}

TEST(UrlPolicy, NormalisesWhatItAccepts) {
  const struct {
    std::string url;
    const char* normal;
    const char* host;
    std::uint16_t port;
    const char* origin;
  } rows[] = {
      {"http://example.com", "http://example.com/", "example.com", 80, "http://example.com:80"},
      {"HTTPS://Example.COM/A?b=C#frag", "https://example.com/A?b=C", "example.com", 443,
       "https://example.com:443"},
      {"http://example.com:443/x", "http://example.com:443/x", "example.com", 443,
       "http://example.com:443"},
      {"http://example.com:/x", "http://example.com/x", "example.com", 80, "http://example.com:80"},
      {"http://example.com./x", "http://example.com./x", "example.com", 80,
       "http://example.com:80"},
      {"http://0x08080808/x", "http://8.8.8.8/x", "8.8.8.8", 80, "http://8.8.8.8:80"},
      {"http://8.8.8.8./x", "http://8.8.8.8/x", "8.8.8.8", 80, "http://8.8.8.8:80"},
      {"http://[2606:4700:0:0:0:0:0:1111]/", "http://[2606:4700::1111]/", "2606:4700::1111", 80,
       "http://[2606:4700::1111]:80"},
      {"http://[2606:4700::1111]:443/", "http://[2606:4700::1111]:443/", "2606:4700::1111", 443,
       "http://[2606:4700::1111]:443"},
      {"http://xn--exmple-cua.com/", "http://xn--exmple-cua.com/", "xn--exmple-cua.com", 80,
       "http://xn--exmple-cua.com:80"},
      {"http://a_b.example.com/a/../c%20d?e=@#f", "http://a_b.example.com/c%20d?e=@",
       "a_b.example.com", 80, "http://a_b.example.com:80"},
      {"http://127.0.0.1.example.com/", "http://127.0.0.1.example.com/", "127.0.0.1.example.com",
       80, "http://127.0.0.1.example.com:80"},
      {"http://example.com/?u=http://127.0.0.1/", "http://example.com/?u=http://127.0.0.1/",
       "example.com", 80, "http://example.com:80"},
      {"http://example.com?@127.0.0.1/", "http://example.com/?@127.0.0.1/", "example.com", 80,
       "http://example.com:80"},
      {"http://example.com#@127.0.0.1/", "http://example.com/", "example.com", 80,
       "http://example.com:80"},
  };
  const auto gate = policy();
  for (const auto& row : rows) {
    const auto result = gate.check_url(row.url);
    ASSERT_TRUE(result) << row.url << ": " << result.error().message;
    EXPECT_EQ(result->url, row.normal);
    EXPECT_EQ(result->host, row.host);
    EXPECT_EQ(result->port, row.port);
    EXPECT_EQ(result->origin(), row.origin);
    const auto again = gate.check_url(result->url);
    ASSERT_TRUE(again) << result->url;
    EXPECT_EQ(again->url, result->url);
  }
  EXPECT_TRUE(gate.check_url("http://example.com/" + std::string(8173, 'a')));  // 8192 bytes
  EXPECT_EQ(gate.check_url(" \t\r\nhttp://example.com/a \n")->url, "http://example.com/a");
  EXPECT_EQ(gate.check_url("http://example.com/caf\u00e9?q=\u00fc")->url,
            "http://example.com/caf%c3%a9?q=%c3%bc");
}

TEST(UrlPolicy, AsksForHostsOfAnyScriptAsBrowsersDo) {
  const UrlPolicy gate = policy({});
  const std::pair<const char*, const char*> table[] = {
      {"http://ex\u00e4mple.com/a", "http://xn--exmple-cua.com/a"},
      {"http://EX\u00c4MPLE.com/a", "http://xn--exmple-cua.com/a"},
      {"http://exa\u0308mple.com/a", "http://xn--exmple-cua.com/a"},
      {"http://fa\u00df.de/", "http://xn--fa-hia.de/"},
      {"https://\u4f8b\u5b50.\u6d4b\u8bd5:443/\u56fe.png",
       "https://xn--fsqu00a.xn--0zwm56d:443/%e5%9b%be.png"},
      {"http://example\u3002com/", "http://example.com/"},
      {"http://exam\xc2\xadple.com/", "http://example.com/"},
      {"http://xn--exmple-cua.com/", "http://xn--exmple-cua.com/"},
  };
  for (const auto& [url, normal] : table) {
    const auto result = gate.check_url(url);
    ASSERT_TRUE(result) << url << ": " << result.error().message << result.error().detail;
    EXPECT_EQ(result->url, normal);
  }
  EXPECT_EQ(gate.check_url("http://example.com/a b.jpg?q=c d")->url,
            "http://example.com/a%20b.jpg?q=c%20d");
  Options options;
  options.deny_hosts = {"ex\u00e4mple.com"};
  EXPECT_FALSE(policy(options).check_url("http://xn--exmple-cua.com/"));
  EXPECT_FALSE(policy(options).check_url("http://ex\u00e4mple.com/"));
}

TEST(UrlPolicy, EncodesPathAndQueryBytesThatAreNotAscii) {
  auto result = policy().check_url("http://example.com/\u00e4?\u00e4");
  ASSERT_TRUE(result);
  std::ranges::transform(result->url, result->url.begin(), tolower);  // libcurl's case varies
  EXPECT_EQ(result->url, "http://example.com/%c3%a4?%c3%a4");
}

TEST(UrlPolicy, AllowListAdmitsOnlyItsHosts) {
  Options options;
  options.allow_hosts = {"Images.Example.com.", ".cdn.example", "9.9.9.9", "2606:4700:0::1"};
  const auto gate = policy(options);
  for (const char* url : {"http://images.example.com/", "http://IMAGES.example.com./",
                          "http://cdn.example/", "http://a.b.cdn.example/", "http://9.9.9.9/",
                          "http://0x09090909/", "http://[2606:4700::1]/"}) {
    EXPECT_TRUE(gate.check_url(url)) << url;
  }
  for (const char* url : {"http://example.com/", "http://a.images.example.com/",
                          "http://notcdn.example/", "http://cdn.example.evil.test/",
                          "http://8.8.8.8/", "http://[2606:4700::2]/", "http://localhost/"}) {
    const auto result = gate.check_url(url);
    ASSERT_FALSE(result) << url;
    EXPECT_EQ(result.error().code, kDenied);
    EXPECT_EQ(result.error().message, "the host is not on the list of allowed hosts");
  }
}

TEST(UrlPolicy, DenyListWinsOverAllowList) {
  Options options;
  options.allow_hosts = {".example.com"};
  options.deny_hosts = {"bad.example.com", ".worse.example.com"};
  const auto gate = policy(options);
  EXPECT_TRUE(gate.check_url("http://example.com/"));
  EXPECT_TRUE(gate.check_url("http://a.bad.example.com/"));
  for (const char* url : {"http://bad.example.com/", "http://BAD.example.com./",
                          "http://worse.example.com/", "http://a.worse.example.com/"}) {
    const auto result = gate.check_url(url);
    ASSERT_FALSE(result) << url;
    EXPECT_EQ(result.error().message, "the host is on the list of denied hosts");
  }
}

TEST(UrlPolicy, LocalNamesPassOnlyWhenListed) {
  Options options;
  options.allow_hosts = {"localhost", ".svc"};
  const auto gate = policy(options);
  EXPECT_TRUE(gate.check_url("http://localhost/"));  // the address gate still stands behind
  EXPECT_TRUE(gate.check_url("http://images.default.svc/"));
  EXPECT_FALSE(gate.check_url("http://a.localhost/"));
}

TEST(UrlPolicy, AllowingAHostDoesNotAllowItsAddress) {
  Options options;
  options.allow_hosts = {"127.0.0.1", "::1"};
  const auto gate = policy(options);
  EXPECT_EQ(gate.check_url("http://127.0.0.1/").error().message, loopback);
  EXPECT_EQ(gate.check_url("http://[::1]/").error().message, loopback);
}

TEST(UrlPolicy, CidrsOpenAndClose) {
  Options options;
  options.allow_cidrs = {"10.0.0.0/8", "fd00::/8", "169.254.0.0/16"};
  options.deny_cidrs = {"10.9.0.0/16", "8.8.8.0/24"};
  const auto gate = policy(options);
  EXPECT_TRUE(gate.check_url("http://10.1.2.3/"));
  EXPECT_TRUE(gate.check_url("http://[fd12::1]/"));
  EXPECT_TRUE(gate.check_url("http://169.254.7.7/"));
  EXPECT_EQ(gate.check_url("http://10.9.1.1/").error().message,
            "the URL leads to an address that the configuration denies");
  EXPECT_FALSE(gate.check_url("http://8.8.8.8/"));
  EXPECT_EQ(gate.check_url("http://192.168.0.1/").error().message, private_address);
}

TEST(UrlPolicy, WideCidrsDoNotOpenMetadata) {
  Options options;
  options.allow_cidrs = {"0.0.0.0/0", "::/0"};
  const auto wide = policy(options);
  EXPECT_TRUE(wide.check_url("http://127.0.0.1/"));
  EXPECT_TRUE(wide.check_url("http://[::ffff:127.0.0.1]/"));
  for (const char* url : {"http://169.254.169.254/", "http://100.100.100.200/",
                          "http://[fd00:ec2::254]/", "http://[::ffff:169.254.169.254]/",
                          "http://[64:ff9b::a9fe:a9fe]/", "http://[2002:a9fe:a9fe::]/"}) {
    const auto result = wide.check_url(url);
    ASSERT_FALSE(result) << url;
    EXPECT_EQ(result.error().message, metadata) << url;
  }
  options.allow_cidrs = {"169.254.169.254/32"};
  EXPECT_TRUE(policy(options).check_url("http://169.254.169.254/"));
}

TEST(UrlPolicy, AllowedFormsAreJudgedByTheAddressInside) {
  Options options;
  options.allow_cidrs = {"64:ff9b::/96"};
  options.deny_cidrs = {"8.8.4.0/24"};
  const auto gate = policy(options);
  EXPECT_TRUE(gate.check_url("http://[64:ff9b::8.8.8.8]/"));
  EXPECT_FALSE(gate.check_url("http://[64:ff9b::8.8.4.4]/"));
  EXPECT_EQ(gate.check_url("http://[64:ff9b::10.0.0.1]/").error().message, private_address);
  EXPECT_EQ(gate.check_url("http://[64:ff9b::127.0.0.1]/").error().message, loopback);
}

TEST(UrlPolicy, PortsAreThoseListed) {
  Options options;
  options.ports = {8080};
  const auto gate = policy(options);
  EXPECT_TRUE(gate.check_url("https://example.com:8080/"));
  EXPECT_TRUE(gate.check_url("https://example.com:08080/"));
  EXPECT_EQ(gate.check_url("http://example.com/").error().message,
            "port 80 is not allowed; allowed are: 8080");
}

TEST(Options, ReportEveryFaultAtOnce) {
  Options options;
  options.max_bytes = 0;
  options.timeout = Duration(0);
  options.connect_timeout = std::chrono::hours(1);
  options.max_redirects = 4;
  options.max_concurrent = 0;
  options.max_waiting = 100'000;
  options.ports = {80, 0};
  options.allow_hosts = {"*.example.com", "http://example.com", ""};
  options.deny_hosts = {".10.0.0.1"};
  options.allow_cidrs = {"10.0.0.0/33"};
  options.deny_cidrs = {"10.0.0.1/8"};
  options.ca_file = "/no/such/file";
  options.user_agent = "a\r\nb: c";
  options.headers_file = "/no/such/file";
  const auto result = options.validate();
  ASSERT_FALSE(result);
  EXPECT_EQ(result.error().code, kBad);
  for (const char* text :
       {"max_bytes", "; timeout", "connect_timeout", "max_redirects", "max_concurrent",
        "max_waiting", "ports", "ca_file", "headers_file: cannot be read", "user_agent",
        "allow_hosts: '*.example.com'", "'http://example.com'", "allow_hosts: ''",
        "deny_hosts: '.10.0.0.1'", "allow_cidrs: '10.0.0.0/33'", "deny_cidrs: '10.0.0.1/8'"}) {
    EXPECT_TRUE(result.error().message.contains(text)) << text;
  }
  EXPECT_FALSE(Fetcher::create(options));
  EXPECT_TRUE(Options().validate());
}

}  // namespace
}  // namespace podsense::fetch
