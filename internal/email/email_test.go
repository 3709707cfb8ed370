package email_test

import (
	"strings"
	"testing"

	"github.com/oapi-codegen/runtime/types"
	"github.com/stretchr/testify/require"

	"github.com/picaspot/picaspot/internal/email"
)

func TestCheck(t *testing.T) {
	t.Parallel()
	long := strings.Repeat("a", 64)
	domain := strings.Repeat(strings.Repeat("b", 60)+".", 3) + "org" // 186 octets.
	for _, valid := range []string{
		"ada@example.org", "Ada.Lovelace+tag@Mail.Example.ORG", "a@b.co", "o'neil@example.org", "!#$%&'*+-/=?^_`{|}~@example.org",
		long + "@example.org", "ada@" + strings.Repeat("b", 63) + ".org", long + "@" + domain, "ada@xn--bcher-kva.example", "ada@1and1.com", "ada@123.example",
		"ada@a-b.example.museum", "ada@example.xn--p1ai",
	} {
		require.NoError(t, email.Check(valid), valid)
		_, err := types.Email(valid).MarshalJSON()
		require.NoError(t, err, "an answer can show %s", valid)
	}
	for _, wrong := range []string{
		"", "@", "ada", "ada@", "@example.org", "ada@localhost", "ada@example.", "ada@.example.org", "ada@example..org", "a@b@example.org",
		"test@-iana.org", "test@iana-.com", "test@iana/icann.org", "a@1.2.3.4", "a@example.123", "a@[127.0.0.1]", "a@[IPv6:::1]",
		long + "a@example.org", "test@" + strings.Repeat("b", 64) + ".org", long + "@" + domain + ".abcd" + strings.Repeat(".e", 10),
		".ada@example.org", "ada.@example.org", "a..b@example.org", `"a b"@example.org`, "a b@example.org", "ada@exa mple.org", "ada@exa_mple.org",
		"Ada <ada@example.org>", "<ada@example.org>", "ada@example.org, eve@example.org", "ada@example.org\r\nBcc: eve@example.org",
		"ada@exämple.org", "adä@example.org", "ada@example.org\x00", "ada(home)@example.org", "ada@xn--a.example", "ada@xn--0.example", "ada@ab--cd.example",
		"ada@example\u3002org", "ada@ⅷ.org",
	} {
		require.Error(t, email.Check(wrong), wrong)
	}
}

func FuzzCheck(f *testing.F) {
	f.Add("ada@xn--bcher-kva.example")
	f.Fuzz(func(t *testing.T, address string) {
		if email.Check(address) != nil {
			return
		}
		local, domain, _ := strings.Cut(address, "@")
		require.LessOrEqual(t, len(local), 64)
		require.LessOrEqual(t, len(address), 254)
		require.Contains(t, domain, ".")
		require.False(t, strings.ContainsFunc(address, func(r rune) bool { return r <= ' ' || r > '~' }))
	})
}
