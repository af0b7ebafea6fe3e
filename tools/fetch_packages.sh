#!/usr/bin/env bash
# Downloads Debian packages of any architecture and suite and unpacks them, without installing anything.
#
#   tools/fetch_packages.sh ARCHITECTURE SUITE[,SUITE...] PACKAGE...
#
# They are unpacked into root/ of the current directory; packages.txt names them with their versions. Of a
# package linux-image-* that only names others, the kernel is fetched that it names. apt works on lists of
# its own in apt/, from the mirrors that this machine is set up with; the machine's lists stay as they are.
# Fails, with apt's words, if a package cannot be had.
set -euo pipefail

architecture=$1
suites=${2//,/ }
shift 2
here=$PWD

# The mirror of bookworm or bookworm-security has the other suites of its kind beside it.
mirror() { # SUITE
  local codename=bookworm
  case $1 in *-security) codename=bookworm-security ;; esac
  apt-get indextargets --format '$(CODENAME) $(REPO_URI)' 'Created-By: Packages' |
    awk -v wanted="$codename" '$1 == wanted { print $2; exit }'
}

mkdir -p apt/state/lists/partial apt/cache/archives/partial root
for suite in $suites; do
  uri=$(mirror "$suite")
  [ -n "$uri" ] || { echo "fetch_packages: apt has no mirror for $suite" >&2; exit 1; }
  echo "deb [signed-by=/usr/share/keyrings/debian-archive-keyring.gpg] $uri $suite main"
done >apt/sources.list
cat >apt/apt.conf <<END
Dir::State "$here/apt/state";
Dir::State::status "/dev/null";
Dir::Cache "$here/apt/cache";
Dir::Etc::SourceList "$here/apt/sources.list";
Dir::Etc::SourceParts "/dev/null";
APT::Architecture "$architecture";
APT::Architectures { "$architecture"; };
APT::Default-Release "${suites##* }";
APT::Sandbox::User "root";
Acquire::Languages "none";
Acquire::Retries "3";
END
export APT_CONFIG=$here/apt/apt.conf
apt-get -qq update >&2

# Kernels are named by packages that hold nothing but the names of others; those need not be downloaded.
named_by() { # PACKAGE
  case $1 in linux-*) ;; *) return ;; esac
  apt-cache show --no-all-versions "$1" | sed -n 's/^Depends: //p' | tr ',|' '\n\n' |
    sed -nE 's/^ *(linux-(image|binary)-[^ ]+).*/\1/p'
}

cd apt
for package; do
  while others=$(named_by "$package") && [ -n "$others" ]; do package=${others%%$'\n'*}; done
  apt-get -qq download "$package" >&2
done
for archive in *.deb; do
  dpkg-deb --extract "$archive" ../root
  dpkg-deb --show --showformat '${Package} ${Version} ${Architecture}\n' "$archive"
done >../packages.txt
cd ..
rm -r apt
