// Picaspot is the backend of a location-based discovery game: the API, its
// workers and the tools of its operators in one binary.
package main

import (
	"context"
	"errors"
	"log/slog"
	"os"
	"os/signal"
	"runtime/debug"
	"syscall"

	"github.com/alecthomas/kong"

	"github.com/picaspot/picaspot/internal/config"
	"github.com/picaspot/picaspot/internal/reqctx"
)

type cli struct {
	config.Config

	Dev         devCmd         `cmd:"" help:"Run everything on this machine: database, Redis, mailbox, API and workers."`
	Serve       serveCmd       `cmd:"" help:"Run the API."`
	Worker      workerCmd      `cmd:"" help:"Run the workers."`
	Migrate     migrateCmd     `cmd:"" help:"Bring the database to the present version."`
	Seed        seedCmd        `cmd:"" help:"Fill in a small world and the default accounts."`
	Import      importCmd      `cmd:"" help:"Import landmarks from GeoJSON, GPX, KML, CSV and other files."`
	User        userCmd        `cmd:"" help:"Create accounts, and change their role or status."`
	Keys        keysCmd        `cmd:"" help:"Look after the keys that sign access tokens."`
	Policy      policyCmd      `cmd:"" help:"Look after the policy: who may do what."`
	Audit       auditCmd       `cmd:"" help:"Look after the audit log."`
	Storage     storageCmd     `cmd:"" help:"Look after the files of photos and pictures."`
	SamplePhoto samplePhotoCmd `cmd:"" help:"Make a photo with a position and a time in it, to try things with."`
	Healthcheck healthcheckCmd `cmd:"" help:"Ask a running server whether it is ready; for containers."`
	Version     versionCmd     `cmd:"" help:"Print the version."`
}

func main() { os.Exit(run()) }

func run() int {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	// A second Ctrl-C ends the process at once.
	context.AfterFunc(ctx, stop)

	var c cli
	parsed := kong.Parse(&c,
		kong.Name("picaspot"),
		kong.Description("The backend of a location-based discovery game. Every flag can be set by the variable named beside it."),
		kong.UsageOnError(),
		kong.ConfigureHelp(kong.HelpOptions{Compact: true, FlagsLast: true}),
		importVars(),
		kong.BindTo(ctx, (*context.Context)(nil)),
	)
	setUpLog(&c.Config, parsed.Command())
	if err := parsed.Run(&c.Config); err != nil {
		printError(err)
		var coded kong.ExitCoder
		if errors.As(err, &coded) {
			return coded.ExitCode()
		}
		return 1
	}
	return 0
}

// setUpLog logs to standard error, so that what a command prints can be piped.
func setUpLog(c *config.Config, command string) {
	options := &slog.HandlerOptions{Level: c.LogLevel}
	var handler slog.Handler = slog.NewJSONHandler(jsonLog{stderr}, options)
	if c.LogFormat == "text" || command == "dev" && os.Getenv("PICASPOT_LOG_FORMAT") == "" {
		handler = slog.NewTextHandler(stderr, options)
	}
	slog.SetDefault(slog.New(reqctx.NewLogHandler(handler)))
}

type versionCmd struct{}

// Run prints the version that Go recorded in the binary.
func (versionCmd) Run() error {
	info, ok := debug.ReadBuildInfo()
	if !ok {
		return errors.New("the binary has no build information")
	}
	printf("%s %s\n", info.Main.Version, info.GoVersion)
	return nil
}
