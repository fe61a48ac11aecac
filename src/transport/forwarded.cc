#include "transport/forwarded.h"

#include <algorithm>
#include <charconv>
#include <ranges>
#include <utility>

#include "transport/listeners.h"

namespace podsense::transport {
namespace {

namespace ip = boost::asio::ip;

constexpr unsigned kBitsOfIpv6 = 128;
constexpr unsigned kBitsOfIpv4 = 32;

std::string_view without_blanks(std::string_view text) {
  const auto first = text.find_first_not_of(" \t");
  return first == std::string_view::npos
             ? std::string_view()
             : text.substr(first, text.find_last_not_of(" \t") - first + 1);
}

/// `192.0.2.1`, `192.0.2.1:80`, `2001:db8::1`, `[2001:db8::1]`, `[2001:db8::1]:80`.
std::optional<ip::address> parse_node(std::string_view node) {
  if (node.starts_with('[')) {
    const auto close = node.find(']');
    if (close == std::string_view::npos || (close + 1 < node.size() && node[close + 1] != ':')) {
      return std::nullopt;
    }
    node = node.substr(1, close - 1);
  } else if (std::ranges::count(node, ':') == 1) {
    node = node.substr(0, node.find(':'));
  }
  boost::system::error_code error;
  const ip::address address = ip::make_address(std::string(node), error);
  return error ? std::nullopt : std::optional(plain_address(address));
}

/// Calls `visit` for each part of `text` between `separator`s outside of quotes.
template <class Visit>
void split_unquoted(std::string_view text, char separator, const Visit& visit) {
  bool quoted = false;
  std::size_t begin = 0;
  for (std::size_t i = 0; i < text.size(); ++i) {
    if (quoted && text[i] == '\\') {
      ++i;
    } else if (text[i] == '"') {
      quoted = !quoted;
    } else if (text[i] == separator && !quoted) {
      visit(without_blanks(text.substr(begin, i - begin)));
      begin = i + 1;
    }
  }
  visit(without_blanks(text.substr(begin)));
}

/// The `for` address of one element; nothing if it is missing, `unknown` or obfuscated.
std::optional<ip::address> node_of(std::string_view element) {
  std::optional<ip::address> found;
  split_unquoted(element, ';', [&](std::string_view pair) {
    const auto equals = pair.find('=');
    if (equals == std::string_view::npos || !equals_ignoring_case(pair.substr(0, equals), "for")) {
      return;
    }
    std::string_view value = pair.substr(equals + 1);
    if (value.size() >= 2 && value.starts_with('"') && value.ends_with('"')) {
      value = value.substr(1, value.size() - 2);
    }
    found = parse_node(value);
  });
  return found;
}

using Chain = std::vector<std::optional<ip::address>>;

Chain read_forwarded(const Headers& headers) {
  Chain chain;
  headers.each("forwarded", [&](std::string_view line) {
    split_unquoted(line, ',', [&](std::string_view element) {
      if (!element.empty()) {
        chain.push_back(node_of(element));
      }
    });
  });
  return chain;
}

Chain read_x_forwarded_for(const Headers& headers) {
  Chain chain;
  for (const std::string_view node : headers.list("x-forwarded-for")) {
    chain.push_back(parse_node(node));
  }
  return chain;
}

std::optional<ip::address> client_of(const Chain& chain, const Networks& trusted) {
  std::optional<ip::address> client;
  for (const auto& node : chain | std::views::reverse) {
    if (!node) {
      break;
    }
    client = node;
    if (!trusted.contains(*node)) {
      break;
    }
  }
  return client;
}

}  // namespace

Networks::Bytes Networks::bytes_of(const ip::address& address) {
  return address.is_v6() ? address.to_v6().to_bytes()
                         : ip::make_address_v6(ip::v4_mapped, address.to_v4()).to_bytes();
}

Result<Networks> Networks::parse(const std::vector<std::string>& texts) {
  Networks networks;
  for (const std::string& text : texts) {
    const auto slash = std::min(text.find('/'), text.size());
    boost::system::error_code error;
    const ip::address address = ip::make_address(text.substr(0, slash), error);
    const unsigned most = address.is_v6() ? kBitsOfIpv6 : kBitsOfIpv4;
    unsigned length = most;
    bool wrong = static_cast<bool>(error);
    if (slash < text.size()) {
      const char* const end = text.data() + text.size();
      const auto parsed = std::from_chars(text.data() + slash + 1, end, length);
      wrong = wrong || parsed.ec != std::errc() || parsed.ptr != end || length > most;
    }
    if (wrong) {
      return fail(ErrorCode::kInvalidArgument,
                  "'" + text + "' is no network such as 10.0.0.0/8 or fd00::/8");
    }
    networks.all_.push_back({.base = bytes_of(address), .length = length + (kBitsOfIpv6 - most)});
  }
  return networks;
}

bool Networks::contains(const ip::address& address) const {
  const Bytes bytes = bytes_of(address);
  return std::ranges::any_of(all_, [&](const Network& network) {
    const unsigned whole = network.length / 8;
    const unsigned rest = network.length % 8;
    if (!std::equal(bytes.begin(), bytes.begin() + whole, network.base.begin())) {
      return false;
    }
    return rest == 0 || ((bytes[whole] ^ network.base[whole]) >> (8 - rest)) == 0;
  });
}

bool is_network(std::string_view text) {
  return Networks::parse({std::string(text)}).has_value();
}

std::optional<ip::address> forwarded_client(const Headers& headers, const Networks& trusted,
                                            ForwardedBy by) {
  const Chain standard = by == ForwardedBy::kXForwardedFor ? Chain() : read_forwarded(headers);
  const Chain usual = by == ForwardedBy::kForwarded ? Chain() : read_x_forwarded_for(headers);
  const auto client = client_of(standard.empty() ? usual : standard, trusted);
  const bool both = !standard.empty() && !usual.empty();
  return both && client != client_of(usual, trusted) ? std::nullopt : client;
}

}  // namespace podsense::transport
