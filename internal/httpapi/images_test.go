package httpapi_test

import (
	"bytes"
	"encoding/json"
	"image"
	"image/color"
	"image/jpeg"
	"image/png"
	"io/fs"
	"math"
	"net/http"
	"net/url"
	"os"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/picaspot/picaspot/api"
	"github.com/picaspot/picaspot/internal/apptest"
	"github.com/picaspot/picaspot/internal/geo"
	"github.com/picaspot/picaspot/internal/photo/sample"
	"github.com/picaspot/picaspot/internal/storage"
)

var home = geo.Point{Latitude: 53.8671, Longitude: 8.7206}

// files counts what lies in a server's storage and belongs to a row.
func files(t *testing.T, s *apptest.Server) int {
	t.Helper()
	u, err := url.Parse(s.Config.StorageURL)
	require.NoError(t, err)
	n := 0
	require.NoError(t, fs.WalkDir(os.DirFS(u.Path), ".", func(path string, d fs.DirEntry, err error) error {
		if err == nil && !d.IsDir() && path != storage.ProbeKey && !strings.HasPrefix(path, "installations/") {
			n++
		}
		return err
	}))
	return n
}

// waitForFiles waits for the jobs that remove files.
func waitForFiles(t *testing.T, s *apptest.Server, n int) {
	t.Helper()
	require.Eventually(t, func() bool { return files(t, s) == n }, time.Minute, 10*time.Millisecond, "%d files", n)
}

// pictured makes an area and a landmark and returns the addresses of their images.
func pictured(s *apptest.Server, by *apptest.Client) map[string]string {
	area := s.Area(by, "Harbour")
	return map[string]string{
		"of an area":    "/api/v1/areas/" + area.ID.String() + "/image",
		"of a landmark": "/api/v1/landmarks/" + s.Landmark(by, area.ID, "Lighthouse", home).ID.String() + "/image",
	}
}

// kept is what the answers to a PUT have in common.
type kept struct {
	Image *api.Image `json:"image"`
}

func put(t *testing.T, s *apptest.Server, by *apptest.Client, path string, data []byte) api.Image {
	t.Helper()
	response, body := send(t, s, request{by: by, method: "PUT", path: path, contentType: "image/jpeg", body: string(data)})
	require.Equal(t, http.StatusOK, response.StatusCode, string(body))
	var got kept
	require.NoError(t, json.Unmarshal(body, &got))
	require.NotNil(t, got.Image)
	return *got.Image
}

// difference is how far two pictures of the same size are apart on the average, from 0 to 1.
func difference(a, b image.Image) float64 {
	sum, n := 0.0, 0
	for y := range a.Bounds().Dy() {
		for x := range a.Bounds().Dx() {
			ar, ag, ab, _ := a.At(a.Bounds().Min.X+x, a.Bounds().Min.Y+y).RGBA()
			br, bg, bb, _ := b.At(b.Bounds().Min.X+x, b.Bounds().Min.Y+y).RGBA()
			for _, pair := range [][2]uint32{{ar, br}, {ag, bg}, {ab, bb}} {
				sum += math.Abs(float64(pair[0]) - float64(pair[1]))
				n++
			}
		}
	}
	return sum / float64(n) / math.MaxUint16
}

func TestImagesShowNothingButThePicture(t *testing.T) {
	t.Parallel()
	s := apptest.NewWithoutWorkers(t)
	owner, reader := s.User(), s.User()
	for name, path := range pictured(s, owner) {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			upright, err := sample.JPEG(sample.Options{Seed: 7, Width: 320, Height: 240})
			require.NoError(t, err)
			want, err := jpeg.Decode(bytes.NewReader(upright))
			require.NoError(t, err)
			for orientation := 1; orientation <= 8; orientation++ {
				sent, err := sample.JPEG(sample.Options{
					Position: &home, TakenAt: time.Now(), Seed: 7, Width: 320, Height: 240, Orientation: orientation,
				})
				require.NoError(t, err)
				require.Contains(t, string(sent), "Exif")
				said := put(t, s, owner, path, sent)
				response, body := send(t, s, request{by: reader, method: "GET", path: said.URL})
				require.Equal(t, http.StatusOK, response.StatusCode, string(body))
				require.Equal(t, "image/jpeg", response.Header.Get("Content-Type"))
				for _, trace := range []string{"Exif", "GPS", "PicASpot", "http://ns.adobe.com"} {
					require.NotContains(t, string(body), trace)
				}
				got, err := jpeg.Decode(bytes.NewReader(body))
				require.NoError(t, err)
				require.Equal(t, want.Bounds().Size(), got.Bounds().Size())
				require.Less(t, difference(want, got), 0.05, "orientation %d is upright", orientation)
				require.Equal(t, api.Image{
					URL: said.URL, ContentType: "image/jpeg", Bytes: int64(len(body)), Width: 320, Height: 240,
				}, said)
			}
		})
	}
}

func TestImagesAreTakenInOtherFormats(t *testing.T) {
	t.Parallel()
	s := apptest.NewWithoutWorkers(t)
	owner := s.User()
	for name, path := range pictured(s, owner) {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			var large bytes.Buffer
			require.NoError(t, png.Encode(&large, image.NewGray(image.Rect(0, 0, 3000, 1000))))
			response, body := send(t, s, request{by: owner, method: "PUT", path: path, contentType: "image/png", body: large.String()})
			require.Equal(t, http.StatusOK, response.StatusCode, string(body))
			var got kept
			require.NoError(t, json.Unmarshal(body, &got))
			require.Equal(t, []int{2048, 683}, []int{got.Image.Width, got.Image.Height}, "made smaller")
			require.Equal(t, "image/jpeg", got.Image.ContentType)
		})
	}
}

func TestImagesAreRefused(t *testing.T) {
	t.Parallel()
	s := apptest.New(t)
	owner, other, moderator := s.User(), s.User(), s.As("moderator")
	photo := apptest.Photo(t, home, time.Now())
	var manyPixels bytes.Buffer
	require.NoError(t, png.Encode(&manyPixels, image.NewPaletted(image.Rect(0, 0, 10_000, 7000), color.Palette{color.Black})))
	for name, path := range pictured(s, owner) {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			before := put(t, s, owner, path, photo)
			for name, test := range map[string]struct {
				request
				status int
			}{
				"from nobody":         {request{method: "PUT", contentType: "image/jpeg", body: string(photo)}, 401},
				"from somebody else":  {request{by: other, method: "PUT", contentType: "image/jpeg", body: string(photo)}, 403},
				"removed by another":  {request{by: other, method: "DELETE"}, 403},
				"as text":             {request{by: owner, method: "PUT", contentType: "text/plain", body: string(photo)}, 415},
				"without a type":      {request{by: owner, method: "PUT", body: string(photo)}, 415},
				"that is an SVG":      {request{by: owner, method: "PUT", contentType: "image/png", body: `<svg xmlns="http://www.w3.org/2000/svg"/>`}, 415},
				"that is empty":       {request{by: owner, method: "PUT", contentType: "image/jpeg"}, 400},
				"that ends early":     {request{by: owner, method: "PUT", contentType: "image/jpeg", body: string(photo[:len(photo)/2])}, 400},
				"of too many pixels":  {request{by: owner, method: "PUT", contentType: "image/png", body: manyPixels.String()}, 413},
				"larger than a photo": {request{by: owner, method: "PUT", contentType: "image/jpeg", body: string(photo) + strings.Repeat("a", 20_000_000)}, 413},
				"larger than a body":  {request{by: owner, method: "PUT", contentType: "image/jpeg", body: string(photo) + strings.Repeat("a", 21<<20)}, 413},
			} {
				test.path = path
				response, body := send(t, s, test.request)
				require.Equal(t, test.status, response.StatusCode, "%s: %s", name, body)
				apptest.Problem(t, test.status, response, body)
			}
			_, body := send(t, s, request{by: other, method: "GET", path: strings.TrimSuffix(path, "/image")})
			var after kept
			require.NoError(t, json.Unmarshal(body, &after))
			require.Equal(t, before, *after.Image, "what was refused changes nothing")
			put(t, s, moderator, path, photo)
			nowhere := path[:strings.LastIndex(path, "/")-36] + "01932c07-209c-7f7e-8d0a-7e1b5f1f0c11/image"
			for _, method := range []string{"GET", "PUT", "DELETE"} {
				missing := request{by: owner, method: method, path: nowhere}
				if method == "PUT" {
					missing.contentType, missing.body = "image/jpeg", string(photo)
				}
				response, body := send(t, s, missing)
				apptest.Problem(t, http.StatusNotFound, response, body)
			}
		})
	}
	t.Cleanup(func() {
		if !t.Failed() {
			waitForFiles(t, s, 2) // Nothing that was refused is left behind, nor what was replaced.
		}
	})
}

func TestImagesLeaveNoFileBehind(t *testing.T) {
	t.Parallel()
	s := apptest.New(t)
	owner := s.User()
	paths := pictured(s, owner)
	waitForFiles(t, s, 0)
	for _, path := range paths {
		first := put(t, s, owner, path, apptest.Photo(t, home, time.Now()))
		waitForFiles(t, s, 1)
		photo := apptest.Photo(t, home, time.Now())
		second := put(t, s, owner, path, photo)
		require.NotEqual(t, first.URL, second.URL)
		waitForFiles(t, s, 1) // The replaced one is gone.
		again := put(t, s, owner, path, photo)
		waitForFiles(t, s, 1)
		response, _ := send(t, s, request{by: owner, method: "GET", path: again.URL})
		require.Equal(t, http.StatusOK, response.StatusCode, "the same picture once more is still there")
		for range 2 {
			response, body := send(t, s, request{by: owner, method: "DELETE", path: path})
			require.Equal(t, http.StatusNoContent, response.StatusCode, string(body))
			waitForFiles(t, s, 0)
		}
		response, body := send(t, s, request{by: owner, method: "GET", path: path})
		apptest.Problem(t, http.StatusNotFound, response, body)
	}
}

// A process that dies right after the commit leaves the replaced file to a job.
func TestReplacedImageGoesByAJobOfTheSameTransaction(t *testing.T) {
	t.Parallel()
	s := apptest.NewWithoutWorkers(t)
	owner := s.User()
	paths := pictured(s, owner)
	for _, path := range paths {
		put(t, s, owner, path, apptest.Photo(t, home, time.Now()))
		relent := s.Refuse("INSERT", "river_job")
		response, body := send(t, s, request{by: owner, method: "DELETE", path: path})
		apptest.Problem(t, http.StatusInternalServerError, response, body)
		relent()
		response, _ = send(t, s, request{by: owner, method: "GET", path: path})
		require.Equal(t, http.StatusOK, response.StatusCode, "without the job it stays")
		put(t, s, owner, path, apptest.Photo(t, home, time.Now()))
	}
	require.Equal(t, 2*len(paths), files(t, s), "nobody does the jobs yet")
	apptest.StartWorker(t, s.Config)
	waitForFiles(t, s, len(paths))
	for _, path := range paths {
		response, _ := send(t, s, request{by: owner, method: "GET", path: path})
		require.Equal(t, http.StatusOK, response.StatusCode)
	}
}

func TestImagesPutAtOnce(t *testing.T) {
	t.Parallel()
	s := apptest.New(t)
	owner := s.User()
	one, other := apptest.Photo(t, home, time.Now()), apptest.Photo(t, home, time.Now())
	for name, path := range pictured(s, owner) {
		for range 8 {
			var wg sync.WaitGroup
			for _, data := range [][]byte{one, other, one, other} {
				wg.Go(func() {
					response, body := s.Call(owner, http.MethodPut, path, "image/jpeg", bytes.NewReader(data))
					if response.StatusCode != http.StatusOK {
						t.Errorf("%s: %d %s", name, response.StatusCode, body)
					}
				})
			}
			wg.Wait()
			response, body := send(t, s, request{by: owner, method: "GET", path: path})
			require.Equal(t, http.StatusOK, response.StatusCode, "%s: %s", name, body)
		}
	}
	waitForFiles(t, s, 2)
}

func TestImagesAreCached(t *testing.T) {
	t.Parallel()
	s := apptest.NewWithoutWorkers(t)
	owner := s.User()
	for name, path := range pictured(s, owner) {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			first := put(t, s, owner, path, apptest.Photo(t, home, time.Now()))
			response, _ := send(t, s, request{by: owner, method: "GET", path: first.URL})
			etag := response.Header.Get("ETag")
			require.Regexp(t, `^"[0-9a-f]{32}"$`, etag)
			require.Equal(t, "private, max-age=31536000, immutable", response.Header.Get("Cache-Control"))
			for _, same := range []string{etag, "W/" + etag, `"x", ` + etag, "*"} {
				unchanged, body := send(t, s, request{by: owner, method: "GET", path: first.URL, header: map[string]string{"If-None-Match": same}})
				require.Equal(t, http.StatusNotModified, unchanged.StatusCode)
				require.Empty(t, body)
			}

			second := put(t, s, owner, path, apptest.Photo(t, home, time.Now()))
			changed, _ := send(t, s, request{by: owner, method: "GET", path: second.URL, header: map[string]string{"If-None-Match": etag}})
			require.Equal(t, http.StatusOK, changed.StatusCode)
			for _, address := range []string{path, first.URL} {
				moving, _ := send(t, s, request{by: owner, method: "GET", path: address})
				require.Equal(t, http.StatusOK, moving.StatusCode)
				require.Equal(t, "private, no-cache", moving.Header.Get("Cache-Control"), "another picture may stand here tomorrow: %s", address)
			}
		})
	}
}

func TestImagesThatAreNotKeptLeaveNoFile(t *testing.T) {
	t.Parallel()
	s := apptest.NewWithoutWorkers(t)
	owner := s.User()
	for name, path := range pictured(s, owner) {
		photo := apptest.Photo(t, home, time.Now())
		before := put(t, s, owner, path, photo)
		had := files(t, s)
		relent := s.Refuse("INSERT", "audit_logs")
		for _, data := range []string{string(apptest.Photo(t, home, time.Now())), string(photo)} {
			response, body := send(t, s, request{by: owner, method: "PUT", path: path, contentType: "image/jpeg", body: data})
			apptest.Problem(t, http.StatusInternalServerError, response, body)
		}
		response, body := send(t, s, request{by: owner, method: "DELETE", path: path})
		apptest.Problem(t, http.StatusInternalServerError, response, body)
		relent()
		require.Equal(t, had, files(t, s), name)
		response, body = send(t, s, request{by: owner, method: "GET", path: before.URL})
		require.Equal(t, http.StatusOK, response.StatusCode, "%s: the one before is still there: %s", name, body)
	}
}

func TestImageWhoseFileIsGone(t *testing.T) {
	t.Parallel()
	s := apptest.NewWithoutWorkers(t)
	owner := s.User()
	folder, err := url.Parse(s.Config.StorageURL)
	require.NoError(t, err)
	for _, path := range pictured(s, owner) {
		kept := put(t, s, owner, path, apptest.Photo(t, home, time.Now()))
		require.NoError(t, os.RemoveAll(folder.Path))
		require.NoError(t, os.MkdirAll(folder.Path, 0o750))
		response, body := send(t, s, request{by: owner, method: "GET", path: kept.URL})
		apptest.Problem(t, http.StatusNotFound, response, body)
		require.NotContains(t, string(body), folder.Path)
		put(t, s, owner, path, apptest.Photo(t, home, time.Now()))
		response, _ = send(t, s, request{by: owner, method: "GET", path: path})
		require.Equal(t, http.StatusOK, response.StatusCode)
	}
}
