#!/bin/sh
# SPDX-License-Identifier: BSD-2-Clause
# Makes certificates for tests in the directory $1: ca.crt and rogue.crt, and
# by the first one server (localhost, 127.0.0.1, ::1), other (another name) and
# expired; by the second one rogue (localhost). Keys are X.key.
set -eu
umask 077
mkdir -p "$1"
cd "$1"

log=$PWD/certs.log
quietly() {
	"$@" >>"$log" 2>&1 || { cat "$log" >&2; exit 1; }
}

authority() {
	quietly openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 \
	    -nodes -days 30 -subj "/CN=$2" -keyout "$1.key" -out "$1.crt" \
	    -addext keyUsage=critical,keyCertSign
}

# NAME AUTHORITY DAYS SUBJECTALTNAME
certificate() {
	quietly openssl req -newkey ec -pkeyopt ec_paramgen_curve:P-256 \
	    -nodes -subj "/CN=$1" -keyout "$1.key" -out "$1.csr"
	printf 'subjectAltName=%s\n' "$4" >"$1.ext"
	if [ "$3" -gt 0 ]; then
		quietly openssl x509 -req -in "$1.csr" -CA "$2.crt" \
		    -CAkey "$2.key" -CAcreateserial -days "$3" \
		    -extfile "$1.ext" -out "$1.crt"
	else
		mkdir -p expired.d
		: >expired.d/index
		echo 01 >expired.d/serial
		quietly openssl ca -batch -notext -md sha256 -in "$1.csr" \
		    -cert "$2.crt" -keyfile "$2.key" -out "$1.crt" \
		    -startdate 20200101000000Z -enddate 20210101000000Z \
		    -extfile "$1.ext" -config expired.cnf
	fi
	rm -f "$1.csr" "$1.ext"
}

cat >expired.cnf <<'E'
[ca]
default_ca = d
[d]
database = expired.d/index
serial = expired.d/serial
new_certs_dir = expired.d
policy = p
[p]
commonName = supplied
E

here=DNS:localhost,DNS:mail.example.test,IP:127.0.0.1,IP:::1
authority ca "Test CA"
authority rogue-ca "Rogue CA"
certificate server ca 30 "$here"
certificate other ca 30 DNS:other.example.test
certificate expired ca 0 "$here"
certificate rogue rogue-ca 30 "$here"
rm -rf expired.d expired.cnf
