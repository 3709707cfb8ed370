package idempotency

import (
	"context"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"log/slog"
	"maps"
	"net/http"

	"github.com/picaspot/picaspot/internal/seal"
)

// answer is one as it is kept.
type answer struct {
	Status int         `json:"status"`
	Header http.Header `json:"header"`
	Body   []byte      `json:"body"`
}

func (a *answer) isSuccess() bool { return a.Status >= 200 && a.Status < 300 }

func (a *answer) send(ctx context.Context, w http.ResponseWriter) {
	maps.Copy(w.Header(), a.Header)
	w.WriteHeader(a.Status)
	if _, err := w.Write(a.Body); err != nil {
		slog.DebugContext(ctx, "answer not delivered", "error", err)
	}
}

// made is an answer that is being made, and what it was asked. It keeps what the
// operation says, not what stands around every answer.
type made struct {
	answer
	fingerprint []byte
}

var _ http.ResponseWriter = (*made)(nil)

// Header implements http.ResponseWriter.
func (m *made) Header() http.Header { return m.answer.Header }

// WriteHeader implements http.ResponseWriter.
func (m *made) WriteHeader(status int) {
	if m.Status == 0 {
		m.Status = status
	}
}

// Write implements http.ResponseWriter.
func (m *made) Write(data []byte) (int, error) {
	m.WriteHeader(http.StatusOK)
	m.Body = append(m.Body, data...)
	return len(data), nil
}

// sealer is that of one key of one user: so many answers are kept that one for all
// would be used up.
func (s *Service) sealer(c claim) (*seal.Sealer, error) {
	return seal.New(s.secret, "picaspot idempotency "+c.userID.String()+" "+hex.EncodeToString(c.keyHash))
}

func (s *Service) seal(c claim, a *answer) ([]byte, error) {
	sealer, err := s.sealer(c)
	if err != nil {
		return nil, err
	}
	plain, err := json.Marshal(a)
	if err != nil {
		return nil, fmt.Errorf("keep the answer: %w", err)
	}
	return sealer.Seal(c.userID.String(), plain), nil
}

func (s *Service) open(c claim, sealed []byte) (*answer, error) {
	sealer, err := s.sealer(c)
	if err != nil {
		return nil, err
	}
	plain, err := sealer.Open(c.userID.String(), sealed)
	if err != nil {
		return nil, err
	}
	a := &answer{}
	if err := json.Unmarshal(plain, a); err != nil {
		return nil, fmt.Errorf("read the kept answer: %w", err)
	}
	return a, nil
}
