//! The command line: docker's flags with docker's meanings.

mod build;
mod cache;
mod compile;
mod csv;
pub(crate) mod values;

use clap::builder::Styles;
use clap::builder::styling::AnsiColor;
use clap::{Parser, Subcommand};

pub(crate) use build::{BuildArgs, ProgressMode};
pub(crate) use cache::{CacheArgs, CacheCommand, DuArgs, PruneArgs};
pub(crate) use compile::{CompileArgs, SourceArgs};

const STYLES: Styles = Styles::styled()
    .header(AnsiColor::Green.on_default().bold())
    .usage(AnsiColor::Green.on_default().bold())
    .literal(AnsiColor::Cyan.on_default().bold())
    .placeholder(AnsiColor::Cyan.on_default());

const AFTER_HELP: &str = "\
Examples:
  rbc build -t app .                            build ./Dockerfile, keep the result in the cache
  rbc build -o type=oci,dest=app.tar .          write an OCI image
  rbc build -o out --target files .             write a stage's files to ./out
  rbc compile . > plan.json                     show what would be done, without doing it
  rbc build --plan plan.json .                  do exactly that
  rbc cache du                                  show what the cache holds

Environment:
  RBC_HOME         the cache (default: $XDG_CACHE_HOME/rbc, or ~/.cache/rbc)
  RBC_CONFIG       registries' mirrors and plain-HTTP hosts, in buildkitd.toml's syntax
                   (default: ~/.config/rbc/config.toml)
  DOCKER_CONFIG    directory of docker's config.json, for registry credentials
  NO_COLOR         no colours if set

Exit codes:
  0 done · 1 the build failed · 2 wrong usage or a wrong input file
  3 the surroundings (no space, no permission, registry unreachable) · 130 interrupted";

/// Builds container images from Dockerfiles, without a daemon. A `COPY
/// --from` is a link to data in the cache.
#[derive(Debug, Parser)]
#[command(name = "rbc", version, styles = STYLES, max_term_width = 110, after_help = AFTER_HELP)]
pub(crate) struct Cli {
    /// What to do.
    #[command(subcommand)]
    pub(crate) command: Command,
}

/// Subcommands.
#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    // As with docker, the last of a repeated flag counts.
    /// Build an image from a Dockerfile
    #[command(args_override_self = true)]
    Build(Box<BuildArgs>),
    /// Print the plan of a build as JSON, without running it
    #[command(args_override_self = true)]
    Compile(CompileArgs),
    /// Show and trim the cache
    Cache(CacheArgs),
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory as _;

    use super::*;

    #[test]
    fn the_definition_is_consistent() {
        Cli::command().debug_assert();
    }

    #[test]
    fn help_is_what_the_reference_shows() {
        let mut command = Cli::command().term_width(100);
        command.build();
        insta::assert_snapshot!("help", command.render_help());
        for name in ["build", "compile", "cache"] {
            let sub = command.find_subcommand_mut(name).expect(name);
            insta::assert_snapshot!(format!("help-{name}"), sub.render_help());
        }
    }

    #[test]
    fn a_mistyped_flag_is_answered_with_the_right_one() {
        let error = Cli::try_parse_from(["rbc", "build", "--taget", "x", "."]).unwrap_err();
        assert_eq!(error.exit_code(), 2);
        assert!(error.to_string().contains("'--target'"), "{error}");
    }

    #[test]
    fn dockers_spellings_are_understood() {
        let line = "rbc build -f other -f D -t a -t b --target=x --build-arg A=1 --build-arg B --label l=1 --no-cache \
                    --no-cache-filter a,b -o out --output type=tar,dest=x --platform linux/amd64,linux/arm64 \
                    --progress=plain -q --iidfile i --metadata-file m --secret id=s,src=f --ssh default=sock \
                    --build-context n=dir --network none --add-host h:1.2.3.4 --ulimit nofile=1:2 --shm-size 64m \
                    --pull --jobs 3 ctx";
        let cli = Cli::try_parse_from(line.split_whitespace()).unwrap();
        let Command::Build(args) = cli.command else { panic!("another command") };
        assert_eq!(args.source.file.as_deref(), Some(std::path::Path::new("D")));
        assert_eq!(args.tags, ["a", "b"]);
        assert_eq!(args.source.target.as_deref(), Some("x"));
        assert_eq!(args.no_cache_filter, ["a", "b"]);
        assert_eq!(args.outputs, ["out", "type=tar,dest=x"]);
        assert_eq!(args.source.platforms.len(), 2);
    }
}
