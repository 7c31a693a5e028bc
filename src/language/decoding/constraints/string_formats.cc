#include "language/decoding/constraints/string_formats.h"

namespace hone {
namespace {

// RFC 3339 full-date, the 29th of February in leap years alone; the year 0000 is left out, as most calendars
// do.
const std::string kDate =
    R"((?:(?:[1-9]\d{3}|0[1-9]\d\d|00[1-9]\d|000[1-9])-(?:(?:0[13578]|1[02])-(?:0[1-9]|[12]\d|3[01])|)"
    R"((?:0[469]|11)-(?:0[1-9]|[12]\d|30)|02-(?:0[1-9]|1\d|2[0-8]))|)"
    R"((?:\d\d(?:0[48]|[2468][048]|[13579][26])|(?:0[48]|[2468][048]|[13579][26])00)-02-29))";
// Without leap seconds.
const std::string kTime =
    R"((?:(?:[01]\d|2[0-3]):[0-5]\d:[0-5]\d(?:\.\d{1,9})?(?:Z|[+-](?:[01]\d|2[0-3]):[0-5]\d)))";
const std::string kDuration =
    R"(P(?:\d{1,9}W|(?:\d{1,9}D|\d{1,9}M(?:\d{1,9}D)?|\d{1,9}Y(?:\d{1,9}M(?:\d{1,9}D)?)?))"
    R"((?:T(?:\d{1,9}S|\d{1,9}M(?:\d{1,9}S)?|\d{1,9}H(?:\d{1,9}M(?:\d{1,9}S)?)?))?|)"
    R"(T(?:\d{1,9}S|\d{1,9}M(?:\d{1,9}S)?|\d{1,9}H(?:\d{1,9}M(?:\d{1,9}S)?)?)))";
const std::string kUuid = R"([0-9a-fA-F]{8}-[0-9a-fA-F]{4}-[0-9a-fA-F]{4}-[0-9a-fA-F]{4}-[0-9a-fA-F]{12})";
// Labels of at most 47 characters without two hyphens in a row, at most five of them: within 253 in all.
const std::string kLabel = R"([a-zA-Z0-9]{1,15}(?:-[a-zA-Z0-9]{1,15}){0,2})";
const std::string kHostname = kLabel + R"((?:\.)" + kLabel + "){0,4}";
const std::string kAtom = R"([A-Za-z0-9!#$%&'*+/=?^_`{|}~-]{1,30})";
const std::string kEmail = kAtom + R"((?:\.)" + kAtom + R"()?@)" + kLabel + R"((?:\.)" + kLabel + "){1,3}";
const std::string kOctet = R"((?:25[0-5]|2[0-4]\d|1\d\d|[1-9]?\d))";
const std::string kIpv4 = kOctet + R"((?:\.)" + kOctet + "){3}";

// RFC 4291: eight groups, or fewer around one "::".
std::string Ipv6() {
  const std::string group = "[0-9a-fA-F]{1,4}";
  std::string all = "(?:(?:" + group + ":){7}" + group;
  for (int before = 0; before <= 7; ++before) {
    all += '|';
    if (before > 0) all += group + "(?::" + group + "){" + std::to_string(before - 1) + "}";
    all += "::";
    if (before < 7) all += "(?:" + group + "(?::" + group + "){0," + std::to_string(6 - before) + "})?";
  }
  return all + ")";
}

std::string Uri() {
  const std::string character = R"((?:[A-Za-z0-9._~!$&'()*+,;=:@-]|%[0-9a-fA-F]{2}))";
  const std::string query = R"((?:[A-Za-z0-9._~!$&'()*+,;=:@/?-]|%[0-9a-fA-F]{2})*)";
  return R"([a-zA-Z][a-zA-Z0-9+.-]{0,15}://)" + kHostname + R"((?::\d{1,4})?(?:/)" + character +
         R"(*)*(?:\?)" + query + ")?(?:#" + query + ")?";
}

}  // namespace

std::optional<std::string> FormatExpression(std::string_view format) {
  if (format == "date") return kDate;
  if (format == "time") return kTime;
  if (format == "date-time") return kDate + "T" + kTime;
  if (format == "duration") return kDuration;
  if (format == "uuid") return kUuid;
  if (format == "email" || format == "idn-email") return kEmail;
  if (format == "hostname" || format == "idn-hostname") return kHostname;
  if (format == "ipv4") return kIpv4;
  if (format == "ipv6") return Ipv6();
  if (format == "uri" || format == "iri" || format == "uri-reference" || format == "iri-reference")
    return Uri();
  if (format == "json-pointer") return R"((?:/(?:[^/~]|~[01])*)*)";
  return std::nullopt;
}

}  // namespace hone
