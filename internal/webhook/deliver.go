package webhook

import (
	"context"
	"crypto/tls"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"strconv"
	"strings"
	"time"

	"code.dny.dev/ssrf"
	"github.com/google/uuid"
	"github.com/riverqueue/river"
	standardwebhooks "github.com/standard-webhooks/standard-webhooks/libraries/go"

	"github.com/picaspot/picaspot/ent"
	"github.com/picaspot/picaspot/ent/mixin"
	entwebhook "github.com/picaspot/picaspot/ent/webhook"
	entdelivery "github.com/picaspot/picaspot/ent/webhookdelivery"
	"github.com/picaspot/picaspot/internal/store"
)

// Lanes is how many queues deliveries have: one for each webhook that there can be, so
// that a receiver that is slow holds up nobody else's deliveries.
const Lanes = MaxWebhooks

// AtOnce is how many deliveries are under way to a webhook at a time, in one process.
const AtOnce = 4

// Queue names the queue of a lane.
func Queue(lane int) string { return fmt.Sprintf("webhooks_%02d", lane) }

const (
	// tryTimeout is how long a receiver may take to answer.
	tryTimeout = 10 * time.Second
	// maxAnswer is how much of an answer is read, to end it in an orderly way; what it
	// says does not matter.
	maxAnswer = 64 << 10
	// disableAfter is how long all deliveries have failed when the next one that does
	// disables a webhook. It is less than all tries take.
	disableAfter = 72 * time.Hour
)

// waits are the times between tries, as Standard Webhooks proposes them: some three
// days in all.
var waits = []time.Duration{
	5 * time.Second, 5 * time.Minute, 30 * time.Minute, 2 * time.Hour, 5 * time.Hour,
	10 * time.Hour, 14 * time.Hour, 20 * time.Hour, 24 * time.Hour,
}

func span() (all time.Duration) {
	for _, wait := range waits {
		all += wait
	}
	return all
}

// DeliverArgs are the job that delivers an event to a webhook.
type DeliverArgs struct {
	DeliveryID uuid.UUID `json:"delivery_id"`
}

// Kind names the job.
func (DeliverArgs) Kind() string { return "webhook_deliver" }

// InsertOpts implements river.JobArgsWithInsertOpts.
func (DeliverArgs) InsertOpts() river.InsertOpts {
	return river.InsertOpts{MaxAttempts: len(waits) + 1}
}

// Wait is the time from a try, counted from 1, to the next. It is up to a fifth
// longer than [waits] says, by chance and always the same for a delivery, so that
// what failed together does not come back together.
func (a DeliverArgs) Wait(try int) time.Duration {
	wait := waits[min(max(try, 1), len(waits))-1]
	chance := float64(binary.BigEndian.Uint16(a.DeliveryID[14:])) / (1 << 16)
	return wait + time.Duration(float64(wait)*chance/5)
}

// errFailed says that a try failed and why; the log of deliveries says it too.
var errFailed = errors.New("webhook not delivered")

// outcome is what became of a try.
type outcome struct {
	// status is that of the answer; 0 when there was none.
	status   int
	duration time.Duration
	// fault says what went wrong, in words that an admin may read; empty when nothing did.
	fault string
}

// Deliver makes one try of a delivery, the last one or not, and records what became
// of it. It is the work of a [DeliverArgs] job. An error asks for another try; there
// is none where the delivery has ended: it succeeded or was given up, or its webhook
// is disabled or gone.
func (s *Service) Deliver(ctx context.Context, args DeliverArgs, try int) error {
	of, err := s.store.Ent.WebhookDelivery.Get(ctx, args.DeliveryID)
	if store.IsNotFound(err) || err == nil && of.Status != entdelivery.StatusPending {
		return nil
	}
	if err != nil {
		return fmt.Errorf("find the delivery: %w", err)
	}
	to, err := s.store.Ent.Webhook.Get(ctx, of.WebhookID)
	switch {
	case store.IsNotFound(err):
		return s.cancel(ctx, of, "The webhook was deleted.")
	case err != nil:
		return fmt.Errorf("find the webhook: %w", err)
	case isCut(to, of):
		return s.cancel(ctx, of, "The webhook is disabled.")
	}
	request, err := s.request(ctx, to, of)
	if err != nil {
		return err
	}
	got := s.send(request)
	if err := s.record(ctx, args, of, got, try); err != nil {
		return err
	}
	if got.fault == "" || ends(got, try) {
		return nil
	}
	return fmt.Errorf("%w: %s", errFailed, got.fault)
}

// isCut reports whether a delivery does not reach a webhook because that is disabled.
// A test does.
func isCut(to *ent.Webhook, of *ent.WebhookDelivery) bool {
	return to.DisabledReason != nil && of.EventType != string(Ping)
}

// ends reports whether a try that failed was the last.
func ends(got outcome, try int) bool { return got.status == http.StatusGone || try > len(waits) }

func (s *Service) cancel(ctx context.Context, of *ent.WebhookDelivery, why string) error {
	err := s.store.Ent.WebhookDelivery.UpdateOne(of).SetStatus(entdelivery.StatusCancelled).SetError(why).
		ClearNextTryAt().SetFinishedAt(mixin.Now()).Exec(ctx)
	if err != nil && !store.IsNotFound(err) {
		return fmt.Errorf("cancel the delivery: %w", err)
	}
	return nil
}

// request is a signed delivery. Time is that of the try.
func (s *Service) request(ctx context.Context, to *ent.Webhook, of *ent.WebhookDelivery) (*http.Request, error) {
	request, err := http.NewRequestWithContext(ctx, http.MethodPost, to.URL, strings.NewReader(of.Payload))
	if err != nil {
		return nil, fmt.Errorf("address of the webhook: %w", err)
	}
	now := time.Now()
	secrets := [][]byte{to.Secret}
	if to.PreviousUntil != nil && now.Before(*to.PreviousUntil) {
		secrets = append(secrets, to.PreviousSecret)
	}
	signatures := make([]string, len(secrets))
	for i, sealed := range secrets {
		secret, err := s.sealer.Open(to.ID.String(), sealed)
		if err != nil {
			return nil, err
		}
		signer, err := standardwebhooks.NewWebhook(string(secret))
		if err != nil {
			return nil, err
		}
		if signatures[i], err = signer.Sign(of.EventID.String(), now, []byte(of.Payload)); err != nil {
			return nil, fmt.Errorf("sign the delivery: %w", err)
		}
	}
	request.Header.Set("Content-Type", "application/json")
	request.Header.Set("User-Agent", "PicASpot-Webhooks/1")
	request.Header.Set(standardwebhooks.HeaderWebhookID, of.EventID.String())
	request.Header.Set(standardwebhooks.HeaderWebhookTimestamp, strconv.FormatInt(now.Unix(), 10))
	request.Header.Set(standardwebhooks.HeaderWebhookSignature, strings.Join(signatures, " "))
	return request, nil
}

// newClient makes a client that is no way into our own network: it follows nobody
// elsewhere, uses no proxy, and looks at each address that it dials, after the name
// was resolved.
func newClient(guardian *ssrf.Guardian, allowPrivate bool) *http.Client {
	dialer := &net.Dialer{Timeout: tryTimeout, Control: guardian.Safe}
	if allowPrivate {
		dialer.Control = nil
	}
	return &http.Client{
		Timeout:       tryTimeout,
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
		Transport: &http.Transport{
			DialContext: dialer.DialContext, TLSHandshakeTimeout: tryTimeout, ForceAttemptHTTP2: true,
			DisableKeepAlives: true, DisableCompression: true, MaxResponseHeaderBytes: maxAnswer,
		},
	}
}

func (s *Service) send(request *http.Request) outcome {
	start := time.Now()
	response, err := s.client.Do(request)
	if err != nil {
		return outcome{duration: time.Since(start), fault: explain(err)}
	}
	// Whether all of the answer arrives does not matter.
	_, _ = io.CopyN(io.Discard, response.Body, maxAnswer)
	_ = response.Body.Close()
	got := outcome{status: response.StatusCode, duration: time.Since(start)}
	switch {
	case got.status >= 300 && got.status < 400:
		got.fault = fmt.Sprintf("The receiver answered with %d. Redirections are not followed.", got.status)
	case got.status < 200 || got.status > 299:
		got.fault = fmt.Sprintf("The receiver answered with %d.", got.status)
	}
	return got
}

// explain says what kept a request from being answered, without what the error knows
// of our network.
func explain(err error) string {
	var timeout net.Error
	var dns *net.DNSError
	switch {
	case errors.Is(err, ssrf.ErrProhibitedIP), errors.Is(err, ssrf.ErrProhibitedNetwork):
		return "The receiver's address is not on the public internet."
	case errors.As(err, &timeout) && timeout.Timeout():
		return fmt.Sprintf("The receiver did not answer within %.0f seconds.", tryTimeout.Seconds())
	case errors.As(err, &dns):
		return "The receiver's name was not found."
	case isTLS(err):
		return "The receiver's certificate is not valid, or it does not speak TLS."
	default:
		return "The connection to the receiver failed."
	}
}

// isTLS reports whether a connection was made and could not be secured.
func isTLS(err error) bool {
	var certificate *tls.CertificateVerificationError
	var record tls.RecordHeaderError
	return errors.As(err, &certificate) || errors.As(err, &record) || errors.Is(err, http.ErrSchemeMismatch)
}

// failingSQL notes a try that failed, succeededSQL one that did not. They leave the
// version of the webhook as it is.
const (
	failingSQL = `-- name: webhook_failing
UPDATE webhooks SET failing_since = now() WHERE id = $1 AND failing_since IS NULL`
	succeededSQL = `-- name: webhook_succeeded
UPDATE webhooks SET failing_since = NULL WHERE id = $1 AND failing_since IS NOT NULL`
)

// record writes down what became of a try, and what that means for the webhook.
func (s *Service) record(ctx context.Context, args DeliverArgs, of *ent.WebhookDelivery, got outcome, try int) error {
	now := mixin.Now()
	return s.store.InTx(ctx, func(ctx context.Context, tx *store.Tx) error {
		update := tx.WebhookDelivery.Update().Where(entdelivery.ID(of.ID)).
			AddTries(1).SetDurationMs(int(got.duration.Milliseconds())).SetError(got.fault).ClearResponseStatus()
		if got.status != 0 {
			update.SetResponseStatus(got.status)
		}
		note := failingSQL
		switch {
		case got.fault == "":
			update.SetStatus(entdelivery.StatusSucceeded).ClearNextTryAt().SetFinishedAt(now)
			note = succeededSQL
		case ends(got, try):
			update.SetStatus(entdelivery.StatusFailed).ClearNextTryAt().SetFinishedAt(now)
		default:
			update.SetNextTryAt(now.Add(args.Wait(try)))
		}
		if err := update.Exec(ctx); err != nil {
			return fmt.Errorf("log the delivery: %w", err)
		}
		if _, err := tx.ExecContext(ctx, note, of.WebhookID); err != nil {
			return fmt.Errorf("note how the webhook does: %w", err)
		}
		if got.fault == "" {
			return nil
		}
		return disable(ctx, tx, of.WebhookID, got, now)
	})
}

// disable ends deliveries to a receiver that says that it is gone, or that has
// failed for days: also before one to it is given up, which takes longer where
// deliveries have to wait for each other.
func disable(ctx context.Context, tx *store.Tx, id uuid.UUID, got outcome, now time.Time) error {
	update := tx.Webhook.Update().Where(entwebhook.ID(id), entwebhook.DisabledReasonIsNil()).SetDisabledAt(now)
	if got.status == http.StatusGone {
		update.SetDisabledReason(entwebhook.DisabledReasonGone)
	} else {
		update.Where(entwebhook.FailingSinceLTE(now.Add(-disableAfter))).SetDisabledReason(entwebhook.DisabledReasonFailing)
	}
	if err := update.Exec(ctx); err != nil {
		return fmt.Errorf("disable the webhook: %w", err)
	}
	return nil
}
