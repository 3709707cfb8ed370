package photo_test

import (
	"bytes"
	"context"
	"image"
	"image/png"
	"runtime"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/picaspot/picaspot/internal/fault"
	"github.com/picaspot/picaspot/internal/photo"
	"github.com/picaspot/picaspot/internal/photo/sample"
)

// largePNG is a photo that is just large, by the 4.6 MB that it takes in memory: the
// tests send hundreds, and with the race detector each pixel takes long.
var largePNG = sync.OnceValues(func() ([]byte, error) {
	var out bytes.Buffer
	err := png.Encode(&out, image.NewNRGBA(image.Rect(0, 0, 640, 600)))
	return out.Bytes(), err
})

// queue decodes photos of accounts that stay in the decoder until the test lets them go.
type queue struct {
	t       *testing.T
	decoder *photo.Decoder
	small   []byte
	large   []byte
	wait    sync.WaitGroup
}

func newQueue(t *testing.T, limits photo.Limits) *queue {
	t.Helper()
	large, err := largePNG()
	require.NoError(t, err)
	return &queue{
		t: t, decoder: photo.NewDecoder(limits, nil),
		small: sampleJPEG(t, sample.Options{Width: 64, Height: 64}),
		large: large,
	}
}

// decoding is a photo on its way.
type decoding struct {
	started chan struct{} // Closed once it is being decoded.
	finish  chan struct{} // To be closed by the test.
	result  chan error
}

func (q *queue) send(ctx context.Context, account string, data []byte) *decoding {
	d := &decoding{make(chan struct{}), make(chan struct{}), make(chan error, 1)}
	q.wait.Go(func() {
		d.result <- q.decoder.Decode(ctx, account, bytes.NewReader(data), int64(len(data)), func(photo.Decoded) error {
			close(d.started)
			<-d.finish
			return nil
		})
	})
	return d
}

func (d *decoding) requireStarted(t *testing.T) {
	t.Helper()
	select {
	case <-d.started:
	case err := <-d.result:
		t.Fatalf("not decoded: %v", err)
	case <-time.After(20 * time.Second):
		t.Fatal("it waits for others")
	}
}

func (d *decoding) requireWaiting(t *testing.T) {
	t.Helper()
	select {
	case <-d.started:
		t.Fatal("it does not wait")
	case err := <-d.result:
		t.Fatalf("it does not wait: %v", err)
	case <-time.After(50 * time.Millisecond):
	}
}

func (d *decoding) done(t *testing.T) {
	t.Helper()
	close(d.finish)
	require.NoError(t, <-d.result)
}

func TestSmallPhotosNeverWaitForLargeOnes(t *testing.T) {
	t.Parallel()
	q := newQueue(t, photo.DefaultLimits())
	var all []*decoding
	for i := range runtime.GOMAXPROCS(0) + 3 {
		for _, account := range []string{"a", "b", "c", "d", string(rune('A' + i))} {
			all = append(all, q.send(t.Context(), account, q.large))
		}
	}
	for _, account := range []string{"a", "z"} {
		small := q.send(t.Context(), account, q.small)
		small.requireStarted(t)
		small.done(t)
	}
	for _, d := range all {
		close(d.finish)
	}
	q.wait.Wait()
}

func TestAnAccountHoldsUpItselfAndNoOther(t *testing.T) {
	t.Parallel()
	if runtime.GOMAXPROCS(0) < 2 {
		t.Skip("with one processor there is one decode at a time")
	}
	q := newQueue(t, photo.DefaultLimits())
	first := q.send(t.Context(), "a", q.large)
	first.requireStarted(t)
	second := q.send(t.Context(), "a", q.large)
	second.requireWaiting(t)
	third := q.send(t.Context(), "a", q.large)
	third.requireWaiting(t)
	other := q.send(t.Context(), "b", q.large)
	other.requireStarted(t)
	other.done(t)
	first.done(t)
	second.requireStarted(t)
	third.requireWaiting(t)
	second.done(t)
	third.requireStarted(t)
	third.done(t)
}

func TestAFullQueueSaysWhenToComeBack(t *testing.T) {
	t.Parallel()
	q := newQueue(t, photo.DefaultLimits())
	running := q.send(t.Context(), "a", q.large)
	running.requireStarted(t)
	all := []*decoding{running}
	for range 16 {
		waiting := q.send(t.Context(), "a", q.large)
		all = append(all, waiting)
	}
	for _, d := range all[1:] {
		d.requireWaiting(t)
	}
	refused := q.send(t.Context(), "a", q.large)
	err := <-refused.result
	requireFault(t, err, fault.Unavailable, "busy")
	var f *fault.Error
	require.ErrorAs(t, err, &f)
	require.Equal(t, 5*time.Second, f.RetryAfter)
	// Background work waits however long the queue is, and others have places left.
	background, other := q.send(t.Context(), "", q.small), q.send(t.Context(), "b", q.small)
	background.requireStarted(t)
	other.requireStarted(t)
	all = append(all, background, other)
	for _, d := range all {
		close(d.finish)
	}
	q.wait.Wait()
	for _, d := range all {
		require.NoError(t, <-d.result)
	}
}

func TestTheQueueOfAllAccountsIsBounded(t *testing.T) {
	t.Parallel()
	q := newQueue(t, photo.DefaultLimits())
	var all []*decoding
	for i := range runtime.GOMAXPROCS(0) {
		d := q.send(t.Context(), string(rune('A'+i)), q.large)
		d.requireStarted(t)
		all = append(all, d)
	}
	refused := 0
	for i := range 80 {
		all = append(all, q.send(t.Context(), string(rune('a'+i)), q.large))
	}
	for _, d := range all[len(all)-80:] {
		select {
		case err := <-d.result:
			requireFault(t, err, fault.Unavailable, "busy")
			refused++
		case <-time.After(20 * time.Millisecond):
		}
	}
	require.Equal(t, 80-64, refused)
	for _, d := range all {
		close(d.finish)
	}
	q.wait.Wait()
}

// At no time do photos exceed the budget together.
func TestDecodeKeepsToItsBudget(t *testing.T) {
	t.Parallel()
	limits := photo.DefaultLimits()
	q := newQueue(t, limits)
	info, err := inspect(q.large)
	require.NoError(t, err)
	// A quarter of it is for small photos.
	limits.BudgetBytes = info.MemoryBytes * 3 / 2
	q = newQueue(t, limits)
	first := q.send(t.Context(), "a", q.large)
	first.requireStarted(t)
	second := q.send(t.Context(), "b", q.large)
	second.requireWaiting(t)
	first.done(t)
	second.requireStarted(t)
	second.done(t)
}

func TestDecodeStopsWaitingWithItsContext(t *testing.T) {
	t.Parallel()
	q := newQueue(t, photo.DefaultLimits())
	first := q.send(t.Context(), "a", q.large)
	first.requireStarted(t)
	ctx, cancel := context.WithCancel(t.Context())
	second := q.send(ctx, "a", q.large)
	second.requireWaiting(t)
	cancel()
	err := <-second.result
	require.ErrorIs(t, err, context.Canceled)
	require.Equal(t, fault.Internal, fault.KindOf(err))
	third := q.send(t.Context(), "a", q.large)
	third.requireWaiting(t)
	first.done(t)
	third.requireStarted(t)
	third.done(t)
}
