#!/usr/bin/perl
# SPDX-License-Identifier: BSD-2-Clause
# One login over IMAP with TLS in a process of its own: how an MTA's embedded or
# called Perl does it. login.pl PORT CA-FILE USER; the password is on standard
# input. Exits 0 when the server says yes.
use strict;
use warnings;
use Net::IMAP::Simple;

my ($port, $ca_file, $user) = @ARGV;
chomp(my $password = <STDIN>);
my $imap = Net::IMAP::Simple->new(
	"127.0.0.1:$port",
	use_ssl => 1,
	ssl_options => [SSL_ca_file => $ca_file],
) or exit 2;
my $good = $imap->login($user, $password);
$imap->quit;
exit($good ? 0 : 1);
