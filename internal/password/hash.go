// Package password decides which passwords are good enough and keeps them as
// Argon2id hashes (RFC 9106), with a bound on how much memory and how many
// cores hashing may take: a flood of logins waits or is turned away, it does
// not exhaust the machine.
package password

import (
	"context"
	"crypto/rand"
	"crypto/subtle"
	"encoding/base64"
	"errors"
	"fmt"
	"runtime"
	"strconv"
	"strings"
	"sync/atomic"
	"unicode/utf8"

	"golang.org/x/crypto/argon2"
	"golang.org/x/sync/semaphore"
	"golang.org/x/text/unicode/norm"

	"github.com/picaspot/picaspot/internal/fault"
)

// The parameters of new hashes are OWASP's: 7 MiB, five passes, one lane. Of those that
// it calls equal (Password Storage Cheat Sheet) they take the least memory, and as long
// as 19 MiB in two passes.
const (
	memoryKiB  = 7 * 1024
	passes     = 5
	lanes      = 1
	saltLength = 16
	hashLength = 32
)

// The bounds of what a stored hash may ask for. A row that somebody tampered
// with must not make a login allocate gigabytes.
const (
	maxMemoryKiB  = 128 * 1024
	maxPasses     = 16
	maxLanes      = 16
	minSaltLength = 8
	maxSaltLength = 64
	minHashLength = 16
	maxHashLength = 64
	maxEncoded    = 512
)

// The longest password that is looked at, in bytes: as it came in, where a
// character can be spelled as several code points, and after normalisation,
// where [MaxLength] code points fit whatever they are.
const (
	maxRaw    = 16 * MaxLength
	maxNormal = 4 * MaxLength
)

// queuePerSlot is how many may wait for each hash that is being computed: at
// some 30 ms each the last of them waits about two seconds.
const queuePerSlot = 64

// ErrBusy means that too many passwords are being hashed or that the context
// ended before it was this one's turn.
var ErrBusy = fault.New(fault.Unavailable, "busy", "Too many people are logging in at this moment. Please try again shortly.")

// Hasher computes Argon2id hashes, some at a time. It is safe for concurrent use.
type Hasher struct {
	slots   *semaphore.Weighted
	waiting atomic.Int64
	queue   int64
}

// NewHasher returns a hasher that computes as many hashes at once as parallel
// says, each of which takes 7 MiB; 0 means one for each core that the process may use.
func NewHasher(parallel int) *Hasher {
	if parallel <= 0 {
		parallel = runtime.GOMAXPROCS(0)
	}
	return &Hasher{
		slots: semaphore.NewWeighted(int64(parallel)),
		queue: int64(parallel) * queuePerSlot,
	}
}

// Hash returns the PHC string of a password with a fresh salt. The error is
// [ErrBusy] when there is no room before the context ends. Whether the password
// is any good is a matter for [Check].
func (h *Hasher) Hash(ctx context.Context, plain string) (string, error) {
	input, ok := normalise(plain)
	if !ok {
		return "", errors.New("hash password: too long or not UTF-8")
	}
	p := phc{memory: memoryKiB, passes: passes, lanes: lanes, salt: make([]byte, saltLength)}
	// It never fails: since Go 1.24 the program ends where the system has no entropy.
	_, _ = rand.Read(p.salt)
	if err := h.acquire(ctx); err != nil {
		return "", err
	}
	defer h.slots.Release(1)
	p.hash = p.derive(input, hashLength)
	return p.String(), nil
}

// Verify reports whether plain is the password that was hashed, and whether the
// hash was made with other parameters than today's, in which case the caller
// stores a new one. An unreadable hash is an error, as is one that asks for
// more memory or time than any that we would have made.
func (h *Hasher) Verify(ctx context.Context, hash, plain string) (ok, needsRehash bool, err error) {
	stored, err := parsePHC(hash)
	if err != nil {
		return false, false, fmt.Errorf("verify password: %w", err)
	}
	// What could not have been set as a password costs the same as a wrong one.
	input, usable := normalise(plain)
	if err := h.acquire(ctx); err != nil {
		return false, false, err
	}
	defer h.slots.Release(1)
	same := subtle.ConstantTimeCompare(stored.derive(input, len(stored.hash)), stored.hash) == 1
	if !same || !usable {
		return false, false, nil
	}
	return true, stored.outdated(), nil
}

// VerifyDummy costs what [Hasher.Verify] of a hash with today's parameters
// costs. Call it where there is no user to verify against, so that the time of
// the answer does not tell who exists.
func (h *Hasher) VerifyDummy(ctx context.Context, plain string) error {
	input, _ := normalise(plain)
	if err := h.acquire(ctx); err != nil {
		return err
	}
	defer h.slots.Release(1)
	p := phc{memory: memoryKiB, passes: passes, lanes: lanes, salt: make([]byte, saltLength)}
	subtle.ConstantTimeCompare(p.derive(input, hashLength), p.salt)
	return nil
}

func (h *Hasher) acquire(ctx context.Context) error {
	// A caller that is gone already must not take a slot that is free.
	if err := ctx.Err(); err != nil {
		return ErrBusy.Wrap(err)
	}
	if h.slots.TryAcquire(1) {
		return nil
	}
	if h.waiting.Add(1) > h.queue {
		h.waiting.Add(-1)
		return ErrBusy
	}
	defer h.waiting.Add(-1)
	if err := h.slots.Acquire(ctx, 1); err != nil {
		return ErrBusy.Wrap(err)
	}
	return nil
}

// normalise brings a password into the one form under which it is hashed
// (NFKC, NIST SP 800-63B, section 3.1.1.2), so that it works on every keyboard,
// and reports whether it could be one at all.
func normalise(plain string) ([]byte, bool) {
	if len(plain) > maxRaw || !utf8.ValidString(plain) {
		return nil, false
	}
	normal := norm.NFKC.Bytes([]byte(plain))
	return normal, len(normal) <= maxNormal
}

// phc is a hash with its parameters, as in the PHC string format
// (https://github.com/P-H-C/phc-string-format).
type phc struct {
	memory uint32 // KiB
	passes uint32
	lanes  uint8
	salt   []byte
	hash   []byte
}

func (p *phc) derive(input []byte, length int) []byte {
	return argon2.IDKey(input, p.salt, p.passes, p.memory, p.lanes, uint32(length)) //nolint:gosec // Hashes are short: parsing bounds them.
}

func (p *phc) outdated() bool {
	return p.memory != memoryKiB || p.passes != passes || p.lanes != lanes ||
		len(p.salt) != saltLength || len(p.hash) != hashLength
}

// String encodes the hash: $argon2id$v=19$m=7168,t=5,p=1$salt$hash.
func (p *phc) String() string {
	return fmt.Sprintf("$argon2id$v=%d$m=%d,t=%d,p=%d$%s$%s", argon2.Version, p.memory, p.passes, p.lanes,
		base64.RawStdEncoding.EncodeToString(p.salt), base64.RawStdEncoding.EncodeToString(p.hash))
}

// parsePHC reads what [phc.String] writes, and nothing that is spelled differently.
func parsePHC(encoded string) (*phc, error) {
	if len(encoded) > maxEncoded {
		return nil, errors.New("hash is too long")
	}
	parts := strings.Split(encoded, "$")
	if len(parts) != 6 || parts[0] != "" || parts[1] != "argon2id" || parts[2] != "v="+strconv.Itoa(argon2.Version) {
		return nil, errors.New("not an Argon2id hash, version 19, in PHC format")
	}
	var numbers [3]uint64
	parameters := strings.Split(parts[3], ",")
	if len(parameters) != len(numbers) {
		return nil, errors.New("hash has other parameters than m, t and p")
	}
	for i, name := range []string{"m=", "t=", "p="} {
		text, ok := strings.CutPrefix(parameters[i], name)
		n, err := strconv.ParseUint(text, 10, 32)
		if !ok || err != nil {
			return nil, fmt.Errorf("hash parameter %q is not a number", parameters[i])
		}
		numbers[i] = n
	}
	memory, passes, lanes := numbers[0], numbers[1], numbers[2]
	switch {
	case lanes < 1 || lanes > maxLanes, passes < 1 || passes > maxPasses, memory < 8*lanes || memory > maxMemoryKiB:
		return nil, fmt.Errorf("hash parameters m=%d, t=%d, p=%d are outside of what is accepted", memory, passes, lanes)
	}
	salt, err := base64.RawStdEncoding.Strict().DecodeString(parts[4])
	if err != nil || len(salt) < minSaltLength || len(salt) > maxSaltLength {
		return nil, errors.New("hash has an unusable salt")
	}
	hash, err := base64.RawStdEncoding.Strict().DecodeString(parts[5])
	if err != nil || len(hash) < minHashLength || len(hash) > maxHashLength {
		return nil, errors.New("hash has an unusable digest")
	}
	p := &phc{memory: uint32(memory), passes: uint32(passes), lanes: uint8(lanes), salt: salt, hash: hash}
	if p.String() != encoded {
		return nil, errors.New("hash is not in canonical form")
	}
	return p, nil
}
