#!/bin/sh
# Looks for what hone needs and installs the Debian packages that are missing.
#
#   scripts/set_up.sh build   what compiling needs
#   scripts/set_up.sh chat    the same, and what `hone pull` needs
#   scripts/set_up.sh test    the same as build, and what the tests need
#   scripts/set_up.sh train   the same as build, and libtorch (some 120 MB to fetch) and gnuplot, which training needs
#   scripts/set_up.sh arm     what cross-compiling for Arm and running the result need
#   scripts/set_up.sh fuzz | tidy | format   the tools of these targets
#
# Packages are installed with apt-get, through sudo where the user is not root. With HONE_INSTALL=0 nothing is installed.
# Whatever is missing in the end is named with its Debian package, and the exit code is 1.
set -eu

purpose=${1:-build}
cxx=${CXX:-g++}

# KIND NAME PACKAGE; kinds: command NAME is in PATH, header NAME can be included, module: python3 can import NAME,
# library: clang++ can link with -fsanitize=NAME.
needs_of_build='
command g++ g++
command cmake cmake
command ninja ninja-build
command pkg-config pkg-config
header hwy/highway.h libhwy-dev
header tl/expected.hpp libexpected-dev
header xxhash.h libxxhash-dev
header fmt/format.h libfmt-dev
header spdlog/spdlog.h libspdlog-dev
header nlohmann/json.hpp nlohmann-json3-dev
header CLI/CLI.hpp libcli11-dev
header pcre2.h libpcre2-dev
header unicode/uchar.h libicu-dev
header curl/curl.h libcurl4-openssl-dev
header openssl/evp.h libssl-dev
header boost/beast.hpp libboost-dev
'
needs_of_test='
header gtest/gtest.h libgtest-dev
header rapidcheck.h librapidcheck-dev
command python3 python3
'
# Installed where they are missing, and done without where that does not work: the tests of the web page are skipped then.
wanted_by_test='
command chromium chromium
command chromedriver chromium-driver
'
needs_of_chat='
command python3 python3
module pip python3-pip
'
needs_of_train='
header torch/csrc/api/include/torch/torch.h libtorch-dev
command gnuplot gnuplot-nox
command python3 python3
'
needs_of_arm='
command cmake cmake
command ninja ninja-build
command pkg-config pkg-config
command aarch64-linux-gnu-g++ g++-aarch64-linux-gnu
command qemu-aarch64 qemu-user
command python3 python3
'
wanted=
case $purpose in
  build) needs=$needs_of_build ;;
  chat) needs="$needs_of_build$needs_of_chat" ;;
  test) needs="$needs_of_build$needs_of_test" wanted=$wanted_by_test ;;
  train) needs="$needs_of_build$needs_of_train" ;;
  test-train) needs="$needs_of_build$needs_of_test$needs_of_train" ;;
  arm) needs=$needs_of_arm ;;
  fuzz) needs="$needs_of_build
command clang++ clang
library fuzzer libclang-rt-14-dev" ;;
  tidy) needs="$needs_of_build$needs_of_test
command clang-tidy clang-tidy" ;;
  format) needs="command clang-format clang-format" ;;
  *) echo "hone: scripts/set_up.sh: unknown purpose \"$purpose\", expected build, chat, test, train, test-train, arm, fuzz, tidy or format" >&2
     exit 2 ;;
esac

is_there() {  # KIND NAME
  case $1 in
    command) command -v "$2" >/dev/null 2>&1 ;;
    module) command -v python3 >/dev/null 2>&1 && python3 -c "import $2" >/dev/null 2>&1 ;;
    library)
      program=$(mktemp) || return 1
      echo 'extern "C" int LLVMFuzzerTestOneInput(const char*, unsigned long) { return 0; }' |
        clang++ -x c++ - -fsanitize="$2" -o "$program" >/dev/null 2>&1 && linked=0 || linked=1
      rm -f "$program"
      return "$linked" ;;
    header)
      if command -v "$cxx" >/dev/null 2>&1; then
        if [ "$2" = pcre2.h ]; then define='-DPCRE2_CODE_UNIT_WIDTH=8'; else define=; fi
        # shellcheck disable=SC2086
        printf '#if !__has_include(<%s>)\n#error\n#endif\n' "$2" | "$cxx" $define -std=c++20 -x c++ -E - >/dev/null 2>&1
      else
        for folder in /usr/include /usr/include/*-linux-gnu; do
          [ ! -e "$folder/$2" ] || return 0
        done
        return 1
      fi ;;
  esac
}

missing_lines() {  # NEEDS
  printf '%s\n' "$1" | while read -r kind name package; do
    [ -n "$kind" ] || continue
    is_there "$kind" "$name" || echo "$kind $name $package"
  done
}

packages_of() {  # LINES
  printf '%s\n' "$1" | cut -d' ' -f3 | sort -u | tr '\n' ' '
}

if [ -z "$(missing_lines "$needs")" ]; then
  missing=$(missing_lines "$wanted")
  [ -n "$missing" ] || exit 0
  # Other distributions have no such packages: nothing to be asked for at every call.
  # shellcheck disable=SC2046
  apt-cache show $(packages_of "$missing") >/dev/null 2>&1 || exit 0
fi

packages=$(packages_of "$(missing_lines "$needs")")
problem=
if [ "${HONE_INSTALL:-1}" = 0 ]; then
  problem='HONE_INSTALL=0 forbids to install them'
elif ! command -v apt-get >/dev/null 2>&1; then
  problem='there is no apt-get on this machine'
else
  as_root=
  if [ "$(id -u)" != 0 ]; then
    if ! command -v sudo >/dev/null 2>&1; then
      problem='you are not root and there is no sudo'
    elif [ -t 0 ]; then
      as_root=sudo
    else
      as_root='sudo -n'
    fi
  fi
  if [ -z "$problem" ]; then
    # ccache is not needed; it makes the next build quick.
    [ "$purpose" = format ] || packages="${packages}ccache "
    echo "Installing Debian packages: $packages"
    install="$as_root env DEBIAN_FRONTEND=noninteractive apt-get install -y -q --no-install-recommends"
    $as_root apt-get update -q || true
    # shellcheck disable=SC2086
    $install $packages || problem='apt-get failed, see above'
    # By themselves, so that they do no harm where there are none.
    # shellcheck disable=SC2046
    [ -z "$wanted" ] || $install $(packages_of "$(missing_lines "$wanted")") || true
  fi
fi

missing_lines "$wanted" | while read -r kind name package; do
  echo "hone: $kind $name of the Debian package $package is not there: what needs it is skipped" >&2
done
missing=$(missing_lines "$needs")
[ -n "$missing" ] || exit 0
printf '%s\n' "$missing" | while read -r kind name package; do
  echo "hone: missing: $kind $name, which the Debian package $package brings" >&2
done
packages=$(packages_of "$missing")
[ -z "$problem" ] || echo "hone: not installed because $problem" >&2
echo "hone: install them with: apt-get install $packages" >&2
exit 1
