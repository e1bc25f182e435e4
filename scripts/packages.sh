# shellcheck shell=bash disable=SC2034,SC2154 # variables cross files
# Sourced by setup: takes Debian packages apart into folders of the cache. Needs no root and leaves the system's own packages
# and their configuration alone: apt gets lists, state and sources of its own.

packages=$cache/apt
keyring=/usr/share/keyrings/debian-archive-keyring.gpg

# mirror PATTERN FALLBACK: where this machine's apt gets the suite that PATTERN matches.
mirror() {
    local uri
    # shellcheck disable=SC2016 # apt expands them
    uri=$(apt-get indextargets --format '$(RELEASE) $(REPO_URI)' 2>/dev/null |
        awk -v pattern="$1" '$1 ~ pattern && $2 ~ /debian/ { print $2; exit }')
    printf '%s' "${uri:-$2}"
}

# use_suites NAME SUITE...: the following calls see these suites, for amd64 and arm64. Lists are fetched once per run of setup.
use_suites() {
    local name=$1 folder=$packages/$1 suite uri
    shift
    export APT_CONFIG=$folder/apt.conf
    [[ ${fetched-} == *" $name "* ]] && return
    command -v apt-get >/dev/null || fail "apt-get is missing: what is needed comes from Debian's archive"
    [[ -r $keyring ]] || fail "$keyring is missing: install debian-archive-keyring"
    local main security
    main=$(APT_CONFIG='' mirror '^(bookworm|trixie|forky|stable|oldstable|testing|sid)$' http://deb.debian.org/debian/)
    security=$(APT_CONFIG='' mirror '-security$' http://deb.debian.org/debian-security/)
    mkdir -p "$folder"/{lists,archives,etc,state,empty}
    : >"$folder/status"
    for suite; do
        uri=$main
        [[ $suite == *-security ]] && uri=$security
        echo "deb [arch=amd64,arm64 signed-by=$keyring] $uri $suite main"
    done >"$folder/sources.list"
    # The machine's proxies and credentials count, its hooks and pins do not.
    { APT_CONFIG='' apt-config dump | grep -E '^Acquire::(http|https|Check)' || true; } >"$folder/apt.conf"
    cat >>"$folder/apt.conf" <<EOF
Dir::State "$folder/state"; Dir::State::lists "$folder/lists"; Dir::State::status "$folder/status";
Dir::Cache "$folder"; Dir::Cache::archives "$folder/archives";
Dir::Etc::sourcelist "$folder/sources.list"; Dir::Etc::sourceparts "$folder/empty";
Dir::Etc::main "/dev/null"; Dir::Etc::parts "$folder/empty"; Dir::Etc::preferencesparts "$folder/empty";
APT::Architecture "amd64"; APT::Architectures { "amd64"; "arm64"; };
APT::Install-Recommends "false"; APT::Sandbox::User "root";
Acquire::Languages "none"; Acquire::Retries "3";
EOF
    apt-get -qq update >&2
    fetched="${fetched-} $name "
}

use_bookworm() { use_suites bookworm bookworm bookworm-updates bookworm-security bookworm-backports; }
use_trixie() { use_suites trixie trixie trixie-updates trixie-security; }
# Its Release file may have expired: a mirror of testing can lag.
use_forky() {
    use_suites forky forky
    echo 'Acquire::Check-Valid-Until "false";' >>"$APT_CONFIG"
}

# newest REGEX: of the packages whose whole name matches, the one with the highest version in its name.
newest() {
    local name
    name=$(apt-cache pkgnames | grep -xE "$1" | sort -V | tail -n 1)
    [[ $name ]] || fail "no package matches $1"
    printf '%s' "$name"
}

# closure [-t SUITE] PACKAGE...: the packages and all they depend on, as NAME=VERSION lines. libc6 and what runs only while
# packages are being installed are left out.
closure() {
    apt-get -s -y install "$@" | awk '/^Inst/ { print $2 "=" substr($3, 2) }' |
        grep -vE '^(libc6|debconf|adduser|passwd|libpam[^:=]*|qemu-efi[^:=]*|dpkg|tar|ucf|sensible-utils|media-types)(:amd64)?='
}

# unpack FOLDER PACKAGE[=VERSION]...: replaces FOLDER by the contents of the packages.
unpack() {
    local folder=$1 debs name
    shift
    debs=$(mktemp -d "$packages/debs.XXXXXX")
    (cd "$debs" && apt-get -qq download "$@" >&2)
    rm -rf "$folder" "$folder.new"
    mkdir -p "$folder.new"
    # Two at once: xz takes most of the time.
    printf '%s\0' "$debs"/*.deb | xargs -0 -P 2 -I DEB dpkg -x DEB "$folder.new"
    # /bin and /lib as links into /usr, as an installed system has them.
    for name in bin sbin lib lib64; do
        [[ -d $folder.new/$name ]] || continue
        mkdir -p "$folder.new/usr/$name"
        cp -al "$folder.new/$name/." "$folder.new/usr/$name/"
        rm -rf "${folder:?}.new/$name"
        ln -s "usr/$name" "$folder.new/$name"
    done
    mv "$folder.new" "$folder"
    rm -rf "$debs"
}
