// Package middleware is what stands around every request, whatever it asks for.
// From the outside in: Identify, AccessLog, Measure, Recover, SecurityHeaders,
// TrustedHosts, CORS, CrossOrigin. So each answer, a refusal and a panic's too,
// has an id, a line in the log and the headers that browsers obey, and a request
// for another host is refused before any rule about origins compares with it.
//
// Each one is an ordinary func(http.Handler) http.Handler, or makes one from
// what an operator has set.
package middleware
