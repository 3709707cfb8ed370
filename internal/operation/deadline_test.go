package operation

import (
	"context"
	"runtime"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"
)

type testKey struct{}

func TestContextOfAnOperation(t *testing.T) {
	t.Parallel()
	op := &Operation{ID: "Test"}
	synctest.Test(t, func(t *testing.T) {
		parent := context.WithValue(t.Context(), testKey{}, "kept")
		ctx, cancel := withOperation(parent, op, time.Second)
		defer cancel()
		deadline, ok := ctx.Deadline()
		require.True(t, ok)
		require.Equal(t, time.Now().Add(time.Second), deadline)
		for range 2 { // Without the timer, and with it.
			found, _ := From(ctx)
			require.Same(t, op, found)
			require.Equal(t, "kept", ctx.Value(testKey{}))
			require.NoError(t, ctx.Err())
		}
		<-ctx.Done()
		require.Equal(t, deadline, time.Now())
		require.ErrorIs(t, ctx.Err(), context.DeadlineExceeded)
	})
	synctest.Test(t, func(t *testing.T) {
		parent, leave := context.WithTimeout(t.Context(), time.Minute)
		early, cancelEarly := withOperation(parent, op, time.Hour)
		defer cancelEarly()
		deadline, _ := early.Deadline()
		require.Equal(t, time.Now().Add(time.Minute), deadline, "the parent's is the earlier")
		leave()
		<-early.Done()
		require.ErrorIs(t, early.Err(), context.Canceled)
	})
}

func TestContextOfAnOperationThatIsOver(t *testing.T) {
	t.Parallel()
	for name, wait := range map[string]func(ctx context.Context){
		"nobody waited": func(context.Context) {},
		"somebody did":  func(ctx context.Context) { require.NoError(t, ctx.Err()) },
	} {
		ctx, cancel := withOperation(t.Context(), &Operation{}, time.Hour)
		wait(ctx)
		cancel()
		cancel()
		<-ctx.Done()
		require.ErrorIs(t, ctx.Err(), context.Canceled, name)
	}
}

// What is made of it ends with it, without a goroutine that waits for that.
func TestContextsMadeOfAnOperations(t *testing.T) { //nolint:paralleltest // It counts goroutines.
	ctx, cancel := withOperation(t.Context(), &Operation{}, time.Hour)
	before := runtime.NumGoroutine()
	var made []context.Context
	for range 100 {
		child, cancelChild := context.WithCancel(context.WithValue(ctx, testKey{}, 1))
		defer cancelChild()
		made = append(made, child)
	}
	require.Less(t, runtime.NumGoroutine(), before+50)
	var waiting sync.WaitGroup
	for _, child := range made {
		waiting.Go(func() { <-child.Done() })
	}
	cancel()
	waiting.Wait()
}
