package app_test

import (
	"context"
	"math/rand/v2"
	"net/http"
	"strconv"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/anishathalye/porcupine"
	"github.com/google/uuid"
	"github.com/oapi-codegen/nullable"
	"github.com/stretchr/testify/require"

	"github.com/picaspot/picaspot/api"
	"github.com/picaspot/picaspot/internal/apptest"
	"github.com/picaspot/picaspot/internal/config"
	"github.com/picaspot/picaspot/internal/geo"
	"github.com/picaspot/picaspot/internal/testenv"
)

// history is what clients did and saw, of each landmark's description.
type history struct {
	mu         sync.Mutex
	began      time.Time
	operations []porcupine.Operation
}

// access is one operation on a description; reads have their value in the output.
type access struct {
	landmark uuid.UUID
	write    string
}

func (h *history) now() int64 { return time.Since(h.began).Nanoseconds() }

func (h *history) record(client int, in access, called int64, saw string) {
	returned := h.now()
	h.mu.Lock()
	defer h.mu.Unlock()
	h.operations = append(h.operations, porcupine.Operation{ClientId: client, Input: in, Call: called, Output: saw, Return: returned})
}

// register says that a read returns what was written last (M. Herlihy, J. Wing,
// "Linearizability", ACM TOPLAS 12 (1990)).
var register = porcupine.Model{
	Partition: func(all []porcupine.Operation) [][]porcupine.Operation {
		of := map[uuid.UUID][]porcupine.Operation{}
		for _, o := range all {
			id := o.Input.(access).landmark
			of[id] = append(of[id], o)
		}
		var parts [][]porcupine.Operation
		for _, part := range of {
			parts = append(parts, part)
		}
		return parts
	},
	Init: func() any { return "" },
	Step: func(state, in, out any) (bool, any) {
		if written := in.(access).write; written != "" {
			return true, written
		}
		return state == out, state
	},
}

// TestReadsSeeWhatWasWritten has clients read and write through two processes while
// Redis is killed and started again, and checks the history of what they saw.
func TestReadsSeeWhatWasWritten(t *testing.T) {
	t.Parallel()
	const (
		writers, readers = 6, 10
		writes           = 100 // of each writer
	)
	ctx := context.Background()
	server := &redisServer{t: t, addr: testenv.FreeAddr(t)}
	server.start()
	t.Cleanup(func() { server.kill() })
	s := apptest.NewWithoutWorkers(t, func(c *config.Config) { c.RedisURL = "redis://" + server.addr })
	processes := []*apptest.Process{apptest.Start(t, s.Config, "serve"), apptest.Start(t, s.Config, "serve")}
	admin := s.As("admin")
	area := s.Area(admin, "Liechtenstein")
	// They move to and fro over the edge of a cell, which changes the copies of both.
	box := geo.CellOf(geo.Point{Latitude: 47.141, Longitude: 9.521}).Box()
	edge := geo.Point{Latitude: (box.South + box.North) / 2, Longitude: box.East}
	ids := make([]uuid.UUID, 8)
	for i := range ids {
		ids[i] = s.Landmark(admin, area.ID, "Castle "+strconv.Itoa(i), geo.Point{Latitude: edge.Latitude + float64(i)*0.0005, Longitude: edge.Longitude}).ID
	}
	clients := []*apptest.Client{processes[0].Client(admin.Token), processes[1].Client(admin.Token)}
	h := &history{began: time.Now()}
	var unique, reads atomic.Int64
	write := func(n int) {
		id := ids[rand.IntN(len(ids))]
		value := strconv.FormatInt(unique.Add(1), 10)
		longitude := edge.Longitude + (rand.Float64()-0.5)*0.002
		called := h.now()
		got, err := clients[rand.IntN(2)].UpdateLandmarkWithApplicationMergePatchPlusJSONBodyWithResponse(ctx, id, nil,
			api.LandmarkUpdate{Description: nullable.NewNullableWithValue(value), Longitude: &longitude})
		if err != nil || got.StatusCode() != http.StatusOK {
			t.Errorf("write: %v %s", err, got.Body)
		}
		h.record(n, access{landmark: id, write: value}, called, "")
	}
	read := func(n int) {
		client, called := clients[rand.IntN(2)], h.now()
		switch rand.IntN(3) {
		case 0:
			id := ids[rand.IntN(len(ids))]
			got, err := client.GetLandmarkWithResponse(ctx, id, nil)
			if err != nil || got.JSON200 == nil {
				t.Errorf("read: %v %s", err, got.Body)
				return
			}
			h.record(n, access{landmark: id}, called, got.JSON200.Description)
		case 1:
			got, err := client.ListNearbyLandmarksWithResponse(ctx, &api.ListNearbyLandmarksParams{
				Latitude: edge.Latitude, Longitude: edge.Longitude, RadiusMeters: 1000,
			})
			if err != nil || got.JSON200 == nil || len(got.JSON200.Items) != len(ids) {
				t.Errorf("nearby: %v %s", err, got.Body)
				return
			}
			for _, l := range got.JSON200.Items {
				h.record(n, access{landmark: l.ID}, called, l.Description)
			}
		default:
			got, err := client.ListLandmarksWithResponse(ctx, &api.ListLandmarksParams{AreaID: &area.ID})
			if err != nil || got.JSON200 == nil {
				t.Errorf("list: %v %s", err, got.Body)
				return
			}
			for _, l := range got.JSON200.Items {
				h.record(n, access{landmark: l.ID}, called, l.Description)
			}
		}
		reads.Add(1)
	}
	run, stop := context.WithCancel(ctx)
	var writing, reading sync.WaitGroup
	for n := range readers {
		reading.Go(func() {
			for run.Err() == nil && !t.Failed() {
				read(n)
				time.Sleep(time.Duration(rand.IntN(100)) * time.Millisecond)
			}
		})
	}
	var written atomic.Int64
	for n := range writers {
		writing.Go(func() {
			for i := 0; i < writes && !t.Failed(); i++ {
				write(readers + n)
				written.Add(1)
				time.Sleep(time.Duration(rand.IntN(300)) * time.Millisecond)
			}
		})
	}
	require.Eventually(t, func() bool { return written.Load() > writers*writes/3 || t.Failed() }, time.Minute, time.Millisecond)
	server.kill()
	require.Eventually(t, func() bool { return written.Load() > writers*writes/3+30 || t.Failed() }, time.Minute, time.Millisecond)
	server.start()
	writing.Wait()
	stop()
	reading.Wait()
	t.Logf("%d writes, %d reads", written.Load(), reads.Load())
	require.Greater(t, written.Load()+reads.Load(), int64(2000))
	require.Equal(t, porcupine.Ok, porcupine.CheckOperationsTimeout(register, h.operations, time.Minute))
}
