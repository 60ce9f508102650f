#!/bin/sh
# SPDX-License-Identifier: BSD-2-Clause
#
# The option table, the manual page and the sample file say the same: the same
# options, the same defaults, the same ranges. A site must set some values
# itself; the sample shows an example of those instead of the default.
set -u

srcdir=${srcdir:-.}
print=${PRINT_OPTIONS:-tests/unit/print_options}
page=$srcdir/doc/postern.conf.5
sample=$srcdir/contrib/postern.conf.sample
by_site=' internal local_domains listener.role auth.realm imap.url sasl.listen delegation.listen http.secret_file limits.messages limits.recipients limits.bytes limits.addresses limits.bad_recipients limits.senders limits.key limits.local limits.action contain.command '

dir=$(mktemp -d) || exit 99
trap 'rm -rf "$dir"' EXIT

"$print" >"$dir/table" || exit 99
test -s "$dir/table" || exit 99

# "NAME<TAB>Default D; allowed A." of each item: the text up to .Pp
awk '
/^\.It Ic / { name = $3; text = ""; next }
name != "" && /^\.(Pp|It|El|Ss|Sh)/ {
	print name "\t" text
	name = ""
	next
}
name != "" && !/^\./ { text = text (text == "" ? "" : " ") $0 }
' "$page" | sed 's/\\&//g; s/\\(dq/"/g; s/\\-/-/g' | sort >"$dir/page"

awk -F'\t' '{ print $1 "\tDefault " $4 "; allowed " $5 "." }' "$dir/table" |
	sort >"$dir/want-page"

# "NAME<TAB>VALUE" of each line, "#name = value" (no blank after #) included; a
# whole section may be commented out in the same way
sed 's/^#\([a-z]* \("[^"]*" \)*{\)$/\1/; s/^#\(\t.*\)$/\1/; s/^#}$/}/' "$sample" |
	awk '
/^[a-z]+ ("[^"]*" )?\{$/ { section = $1 "."; next }
/^}/ { section = ""; next }
/^\t?#?[a-z_]+ = / {
	sub(/^\t?#?/, "")
	name = $1
	sub(/^[a-z_]+ = /, "")
	print section name "\t" $0
}' | sort >"$dir/sample"

cut -f1,3 "$dir/table" | sort >"$dir/want-sample"

# A second listener is an example; values that a site sets are not compared.
simplify() {
	awk -F'\t' -v by_site="$by_site" '
	index(by_site, " " $1 " ") { print $1 "\t(by the site)"; next }
	{ print }' "$1" | sort -u
}

failed=0
compare() {
	if ! diff -u "$2" "$3" >"$dir/diff"; then
		echo "$1 and the option table differ (- table, + $1):"
		sed 1,2d "$dir/diff"
		failed=1
	fi
}

compare "$page" "$dir/want-page" "$dir/page"
simplify "$dir/want-sample" >"$dir/want"
simplify "$dir/sample" >"$dir/got"
compare "$sample" "$dir/want" "$dir/got"

# Nothing is there twice (but for the second listener).
cut -f1 "$dir/sample" | grep -v -e '^listener\.' -e '^limits\.' | uniq -d >"$dir/twice"
cut -f1 "$dir/page" | uniq -d >>"$dir/twice"
if test -s "$dir/twice"; then
	echo 'there twice:'
	cat "$dir/twice"
	failed=1
fi
exit $failed
