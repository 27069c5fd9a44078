// Package certs chooses what a TLS handshake is answered with.
//
//	Entry      one Certificate document, checked; its key stays sealed until needed
//	Table      immutable: server name -> entries, exact names before wildcards
//	Vault      beside the tables: bounds how many keys are held open
//	Tickets    beside the tables: the keys of session tickets, by the hour
//	Challenge  the certificate that answers TLS-ALPN-01
//	Settings   the tls.Configs of an edge around functions that give the above
//	Attempt    what is learnt of one handshake, for whoever counts failures
//
// A handshake: ClientHello -> acme-tls/1 alone? the Challenge -> the site's
// Policy -> a ticket of this name and window resumes -> server name ->
// Table.Select by what the client can verify -> Entry, whose key is unsealed and
// parsed on first use and kept as long as the Vault's bound allows. No entry: no
// certificate is sent and the client sees unrecognized_name (RFC 6066 section 3).
package certs
