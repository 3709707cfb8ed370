package middleware_test

import (
	"net/http"
	"net/http/httptest"
	"net/netip"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/picaspot/picaspot/internal/middleware"
	"github.com/picaspot/picaspot/internal/reqctx"
)

// addressOf returns what a request's address is noted as.
func addressOf(proxies middleware.Proxies, peer string, forwarded ...string) string {
	var address string
	h := middleware.Identify(proxies)(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		address = reqctx.From(r.Context()).Address
	}))
	r := httptest.NewRequest(http.MethodGet, "/", nil)
	r.RemoteAddr = peer
	if forwarded != nil {
		r.Header["X-Forwarded-For"] = forwarded
	}
	h.ServeHTTP(httptest.NewRecorder(), r)
	return address
}

func TestClientAddress(t *testing.T) {
	t.Parallel()
	proxies, err := middleware.ParseProxies([]string{"10.0.0.0/8", "2001:db8:1::/48", "fe80::1", "::ffff:172.16.0.0/108"})
	require.NoError(t, err)
	const proxy, client = "10.0.0.1:443", "198.51.100.7"
	for name, test := range map[string]struct {
		peer      string
		forwarded []string
		want      string
	}{
		"a peer that is not trusted":            {"203.0.113.9:1", []string{client}, "203.0.113.9"},
		"a peer that says it is a proxy":        {"203.0.113.9:1", []string{client + ", 10.0.0.1"}, "203.0.113.9"},
		"a socket":                              {"@", []string{client}, ""},
		"a proxy that forwards for nobody":      {proxy, nil, "10.0.0.1"},
		"an empty header":                       {proxy, []string{""}, "10.0.0.1"},
		"commas only":                           {proxy, []string{" , ,,\t"}, "10.0.0.1"},
		"a client":                              {proxy, []string{client}, client},
		"a client behind two proxies":           {proxy, []string{client + ", 10.0.0.2"}, client},
		"without spaces":                        {proxy, []string{client + ",10.0.0.2"}, client},
		"with tabs":                             {proxy, []string{"\t" + client + "\t,\t10.0.0.2\t"}, client},
		"an empty element":                      {proxy, []string{client + ", , 10.0.0.2,"}, client},
		"a made up client":                      {proxy, []string{"192.0.2.66, " + client}, client},
		"a made up proxy":                       {proxy, []string{"192.0.2.66, 10.9.9.9, " + client + ", 10.0.0.2"}, client},
		"lines are one list":                    {proxy, []string{"192.0.2.66", client, "10.0.0.2"}, client},
		"lines and commas":                      {proxy, []string{"192.0.2.66, 192.0.2.67", client + ", 10.0.0.3", "10.0.0.2"}, client},
		"a last line that is empty":             {proxy, []string{client, ""}, client},
		"proxies only":                          {proxy, []string{"10.0.0.3, 10.0.0.2"}, "10.0.0.3"},
		"a word":                                {proxy, []string{"unknown"}, "10.0.0.1"},
		"a word behind a proxy":                 {proxy, []string{client + ", unknown, 10.0.0.2"}, "10.0.0.2"},
		"a word behind the client":              {proxy, []string{"unknown, " + client}, client},
		"a number too large":                    {proxy, []string{client + ", 10.0.0.256, 10.0.0.2"}, "10.0.0.2"},
		"leading zeros":                         {proxy, []string{client + ", 010.0.0.3"}, "10.0.0.1"},
		"a network":                             {proxy, []string{"198.51.100.0/24"}, "10.0.0.1"},
		"two addresses without a comma":         {proxy, []string{client + " 10.0.0.2"}, "10.0.0.1"},
		"a quoted address":                      {proxy, []string{`"` + client + `"`}, "10.0.0.1"},
		"an element of Forwarded":               {proxy, []string{"for=" + client}, "10.0.0.1"},
		"a port":                                {proxy, []string{client + ":80"}, client},
		"a port that is none":                   {proxy, []string{client + ":http"}, "10.0.0.1"},
		"a port too large":                      {proxy, []string{client + ":65536"}, "10.0.0.1"},
		"two ports":                             {proxy, []string{client + ":80:80"}, "10.0.0.1"},
		"ports on the way":                      {proxy, []string{client + ":1, 10.0.0.2:2"}, client},
		"IPv6":                                  {proxy, []string{"2001:db8::7"}, "2001:db8::7"},
		"IPv6 at length":                        {proxy, []string{"2001:0DB8:0:0:0:0:0:7"}, "2001:db8::7"},
		"IPv6 in brackets":                      {proxy, []string{"[2001:db8::7]"}, "2001:db8::7"},
		"IPv6 and a port":                       {proxy, []string{"[::1]:80"}, "::1"},
		"IPv6 and an open bracket":              {proxy, []string{"[::1"}, "10.0.0.1"},
		"IPv6 and a closing bracket":            {proxy, []string{"::1]"}, "10.0.0.1"},
		"IPv4 in brackets":                      {proxy, []string{"[" + client + "]"}, "10.0.0.1"},
		"empty brackets":                        {proxy, []string{"[]"}, "10.0.0.1"},
		"a bracket":                             {proxy, []string{"["}, "10.0.0.1"},
		"IPv6 and a zone":                       {proxy, []string{"fe80::7%eth0"}, "fe80::7"},
		"IPv6 and a zone and a port":            {proxy, []string{"[fe80::7%eth0]:80"}, "fe80::7"},
		"IPv6 and an empty zone":                {proxy, []string{"fe80::7%"}, "10.0.0.1"},
		"IPv4 as IPv6":                          {proxy, []string{"::ffff:" + client}, client},
		"IPv4 as IPv6 and a port":               {proxy, []string{"[::ffff:" + client + "]:80"}, client},
		"a proxy as IPv6":                       {"[::ffff:10.0.0.1]:443", []string{client + ", ::ffff:10.0.0.2"}, client},
		"a proxy with a zone":                   {"[fe80::1%eth0]:443", []string{client}, client},
		"a proxy on IPv6":                       {"[2001:db8:1::5]:443", []string{client + ", 2001:db8:1::6"}, client},
		"a peer beside the network":             {"[2001:db8:2::5]:443", []string{client}, "2001:db8:2::5"},
		"a peer beside the address":             {"[fe80::2]:443", []string{client}, "fe80::2"},
		"a proxy of a network given as IPv6":    {"172.16.0.1:443", []string{client}, client},
		"a peer beside a network given as IPv6": {"172.32.0.1:443", []string{client}, "172.32.0.1"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			require.Equal(t, test.want, addressOf(proxies, test.peer, test.forwarded...))
		})
	}
	t.Run("nobody is trusted by default", func(t *testing.T) {
		t.Parallel()
		for _, none := range []middleware.Proxies{nil, {}, {netip.Prefix{}}} {
			require.Equal(t, "127.0.0.1", addressOf(none, "127.0.0.1:1", client))
		}
	})
	t.Run("everybody may be trusted", func(t *testing.T) {
		t.Parallel()
		all, err := middleware.ParseProxies([]string{"0.0.0.0/0", "::/0"})
		require.NoError(t, err)
		require.Equal(t, client, addressOf(all, "[2001:db8::9]:1", client+", 203.0.113.9"))
	})
	t.Run("other headers are not read", func(t *testing.T) {
		t.Parallel()
		r := httptest.NewRequest(http.MethodGet, "/", nil)
		r.RemoteAddr = proxy
		for _, name := range []string{"X-Real-IP", "Forwarded", "True-Client-IP", "CF-Connecting-IP"} {
			r.Header.Set(name, client)
		}
		middleware.Identify(proxies)(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
			require.Equal(t, "10.0.0.1", reqctx.From(r.Context()).Address)
		})).ServeHTTP(httptest.NewRecorder(), r)
	})
}

func TestParseProxies(t *testing.T) {
	t.Parallel()
	t.Run("takes addresses and networks", func(t *testing.T) {
		t.Parallel()
		proxies, err := middleware.ParseProxies([]string{
			"10.0.0.0/8", " 192.0.2.1 ", "2001:db8::/32", "::1", "::ffff:192.0.2.2", "::ffff:192.0.2.0/120", "0.0.0.0/0", "::/0",
		})
		require.NoError(t, err)
		want := make(middleware.Proxies, 0, 8)
		for _, prefix := range []string{
			"10.0.0.0/8", "192.0.2.1/32", "2001:db8::/32", "::1/128", "192.0.2.2/32", "192.0.2.0/24", "0.0.0.0/0", "::/0",
		} {
			want = append(want, netip.MustParsePrefix(prefix))
		}
		require.Equal(t, want, proxies)
	})
	t.Run("takes none", func(t *testing.T) {
		t.Parallel()
		proxies, err := middleware.ParseProxies(nil)
		require.NoError(t, err)
		require.Empty(t, proxies)
	})
	t.Run("names every fault", func(t *testing.T) {
		t.Parallel()
		faults := []string{
			"", "proxy.example", "10.0.0.0/33", "10.0.0.1/8", "10.0.0.1:80", "[::1]", "fe80::1%eth0", "fe80::%eth0/64", "10.0.0.0/8,10.0.0.1", "10.0.0.0/-1",
		}
		proxies, err := middleware.ParseProxies(append(faults, "10.0.0.0/8"))
		require.Nil(t, proxies)
		require.Error(t, err)
		lines := strings.Split(err.Error(), "\n")
		require.Len(t, lines, len(faults))
		for i, fault := range faults {
			require.Contains(t, lines[i], `"`+fault+`"`)
		}
		require.Contains(t, err.Error(), "is 10.0.0.0/8 meant?")
	})
}

// The walk is compared with the rule as one would say it: of the peer and all
// entries, right to left and up to the first that is no address, it is the first
// that is not trusted, or else the last.
func FuzzClientAddress(f *testing.F) {
	proxies, err := middleware.ParseProxies([]string{"10.0.0.0/8", "2001:db8::/32"})
	require.NoError(f, err)
	for _, lines := range []string{
		"", ",", "198.51.100.7", "192.0.2.1, 198.51.100.7, 10.0.0.2", "192.0.2.1\n198.51.100.7\n10.0.0.2", "[::1]:80", "[::1", "]", "[",
		"fe80::1%eth0", "::ffff:10.0.0.1", "1.2.3.4:80", "1.2.3.4:80:80", "unknown, 10.0.0.1", "::ffff:1.2.3.4%z, 2001:db8::1", "%", "\x00,\xff",
	} {
		f.Add("10.0.0.1:443", lines)
		f.Add("192.0.2.9:443", lines)
	}
	trusted := func(addr netip.Addr) bool {
		return slices.ContainsFunc(proxies, func(p netip.Prefix) bool { return p.Contains(addr) })
	}
	f.Fuzz(func(t *testing.T, peer, lines string) {
		got := addressOf(proxies, peer, strings.Split(lines, "\n")...)
		parsed, err := netip.ParseAddrPort(peer)
		if err != nil {
			require.Empty(t, got)
			return
		}
		want := parsed.Addr().Unmap().WithZone("")
		entries := strings.Split(strings.ReplaceAll(lines, "\n", ","), ",")
		for _, entry := range slices.Backward(entries) {
			if entry = strings.Trim(entry, " \t"); entry == "" {
				continue
			}
			addr, ok := readAddress(entry)
			if !ok || !trusted(want) {
				break
			}
			want = addr
		}
		require.Equal(t, want.String(), got)
		if !trusted(parsed.Addr().Unmap().WithZone("")) {
			require.Equal(t, parsed.Addr().Unmap().WithZone("").String(), got, "a peer that is not trusted was believed")
		}
	})
}

// readAddress tries every form that an entry may have.
func readAddress(text string) (netip.Addr, bool) {
	addr, err := netip.ParseAddr(text)
	if err != nil {
		var withPort netip.AddrPort
		withPort, err = netip.ParseAddrPort(text)
		addr = withPort.Addr()
	}
	if inside, ok := strings.CutPrefix(text, "["); ok && err != nil && strings.HasSuffix(inside, "]") {
		addr, err = netip.ParseAddr(strings.TrimSuffix(inside, "]"))
		if addr.Is4() {
			return netip.Addr{}, false
		}
	}
	return addr.Unmap().WithZone(""), err == nil
}
