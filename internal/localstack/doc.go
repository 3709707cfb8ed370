// Package localstack runs private servers: the PostgreSQL and Redis that
// `picaspot dev` brings along and that tests use where nothing else is there.
//
// A private PostgreSQL lives in a folder of its own, listens on the loopback
// interface only, on a port of its own, behind a random password, and never
// touches a server that runs on the machine already. It is a child of this
// process and ends with it; what a killed process leaves behind is stopped at
// the next start. PostgreSQL refuses to run as root, so that under root it runs
// as the account "postgres" or "nobody".
package localstack
