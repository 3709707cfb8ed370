// Picaspot is the backend of a location-based discovery game: the API, its
// workers and the tools of its operators in one binary.
package main

import (
	"context"
	"errors"
	"log/slog"
	"os"
	"os/signal"
	"os/user"
	"slices"
	"strconv"
	"syscall"

	"github.com/alecthomas/kong"
	"github.com/google/uuid"
	kongcompletion "github.com/jotaen/kong-completion"

	"github.com/picaspot/picaspot/internal/app"
	"github.com/picaspot/picaspot/internal/buildinfo"
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
	Names       namesCmd       `cmd:"" help:"List names from before there was a rule for them: areas that clash, and what the rule would change or refuse."`
	Audit       auditCmd       `cmd:"" help:"Look after the audit log."`
	Storage     storageCmd     `cmd:"" help:"Look after the files of photos and pictures."`
	SamplePhoto samplePhotoCmd `cmd:"" help:"Make a photo with a position and a time in it, to try things with."`
	Healthcheck healthcheckCmd `cmd:"" help:"Ask a running server whether it is ready; for containers."`
	Version     versionCmd     `cmd:"" help:"Print the version, as --version does."`

	Completion kongcompletion.Completion `cmd:"" help:"Print how to turn on completion in bash, zsh or fish."`

	HelpAll helpAllFlag `help:"Show help with the settings that every command takes, each with its variable."`
}

func main() { os.Exit(run(os.Args[1:])) }

func run(args []string) int {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	// A second Ctrl-C ends the process at once.
	context.AfterFunc(ctx, stop)

	var c cli
	parser := kong.Must(&c,
		kong.Name("picaspot"),
		kong.Description("The backend of a location-based discovery game. --help-all lists the settings, each with its variable."),
		kong.UsageOnError(),
		kong.ConfigureHelp(kong.HelpOptions{Compact: true, FlagsLast: true}),
		importVars(),
	)
	// Not a flag of every command: policy apply has a --version of its own.
	if slices.Equal(args, []string{"--version"}) {
		args = []string{"version"}
	}
	if !slices.Contains(args, "--help-all") {
		hideSettings(parser)
	}
	// A shell that asks for completions is answered here, and the process ends.
	kongcompletion.Register(parser)
	c.Refused = config.RefuseMalformed(parser)
	parsed, err := parser.Parse(args)
	parser.FatalIfErrorf(err)
	setUpLog(&c.Config, parsed.Command())
	if !slices.Contains([]string{"dev", "serve", "worker"}, parsed.Command()) {
		ctx = reqctx.With(ctx, reqctx.Request{ID: uuid.NewString(), UserAgent: operator()})
		found, err := app.UseRunning(&c.Config)
		if err != nil {
			printError(err)
			return 1
		}
		if found {
			slog.Debug("the installation of the running picaspot dev is used", "folder", c.DataDir)
		}
	}
	parsed.BindTo(ctx, (*context.Context)(nil))
	err = parsed.Run(&c.Config)
	if err == nil {
		return 0
	}
	var silent silentError
	if errors.As(err, &silent) {
		return int(silent)
	}
	printError(err)
	var coded kong.ExitCoder
	if errors.As(err, &coded) {
		return coded.ExitCode()
	}
	return 1
}

// operator names the person who runs a command, for the audit log, as cli:ada@ops-1:
// the user of the operating system and the host. It is what the system says, not proven.
func operator() string {
	name, host := "unknown", "unknown"
	if u, err := user.Current(); err == nil {
		name = u.Username
	}
	if h, err := os.Hostname(); err == nil {
		host = h
	}
	return "cli:" + name + "@" + host
}

// silentError ends a command that has printed all there is to say, with an exit code.
type silentError int

func (e silentError) Error() string { return "exit code " + strconv.Itoa(int(e)) }

// hideSettings leaves the installation's settings, which every command takes, out
// of the help: there are more of them than a screen has lines.
func hideSettings(parser *kong.Kong) {
	for _, flag := range parser.Model.Flags {
		if len(flag.Envs) > 0 {
			flag.Hidden = true
		}
	}
}

// helpAllFlag is --help with the settings.
type helpAllFlag bool

// BeforeReset prints the help and ends the process, before anything is required.
func (helpAllFlag) BeforeReset(ctx *kong.Context) error {
	if err := ctx.PrintUsage(false); err != nil {
		return err
	}
	ctx.Exit(0)
	return nil
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

type versionCmd struct {
	JSON bool `name:"json" help:"Print JSON."`
}

// Run prints which build this is.
func (v versionCmd) Run() error {
	if v.JSON {
		return printJSON(buildinfo.Get())
	}
	printf("%s\n", buildinfo.Get())
	return nil
}
