//! Slash commands. One file per command: its arguments and what it does.

pub(crate) mod deploy;
mod help;
mod plan;
mod text;

use clap::CommandFactory;
use clap::Parser;
use clap::error::ContextKind;
use clap::error::ErrorKind;

pub(crate) use text::lines;

use crate::bot::context::Context;
use crate::bot::replies;
use crate::github::Account;
use crate::github::CommitSha;
use crate::github::Permission;
use crate::github::Reaction;

/// A line of a comment that starts with `/`, parsed.
#[derive(Debug, Parser)]
#[command(
    no_binary_name = true,
    disable_help_flag = true,
    disable_help_subcommand = true,
    help_template = "{subcommands}",
    override_usage = "/<command>"
)]
pub(crate) enum Command {
    Plan(plan::Args),
    Deploy(deploy::Args),
    Help(help::Args),
}

/// A line that is meant for us and cannot be understood: the text to show to its author.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Misunderstood(pub String);

/// Whose command it is, and where it stands.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Given<'a> {
    /// The comment.
    pub comment: u64,
    /// Which of its commands, from 0.
    pub line: u32,
    /// Who wrote it.
    pub author: &'a Account,
    /// The newest commit that we knew when it was written.
    pub head: Option<&'a CommitSha>,
}

/// What became of a command.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Obeyed {
    /// It is done; the comment that is rewritten shows it.
    Done,
    /// It goes on in a job of its own, which will answer.
    Started,
    /// It is done, and this is the answer in Markdown.
    Answered(String),
    /// It is not done, for this reason in Markdown.
    Refused(String),
}

impl Command {
    /// Parses one line of a comment; `None` when the line is not for us.
    ///
    /// With a namespace only `/<namespace> <command>` is, and `<namespace>/<command>`, as the reference writes it.
    pub(crate) fn parse_line(
        line: &str,
        namespace: Option<&str>,
    ) -> Option<Result<Self, Misunderstood>> {
        let line = line.trim();
        let (words, is_addressed) = match namespace.filter(|word| !word.is_empty()) {
            None => (line.strip_prefix('/')?, false),
            Some(namespace) => {
                let after = line
                    .strip_prefix('/')
                    .and_then(|rest| rest.strip_prefix(namespace.trim_start_matches('/')))
                    .filter(|rest| rest.is_empty() || rest.starts_with(char::is_whitespace));
                let joined = || {
                    line.strip_prefix(namespace)
                        .and_then(|rest| rest.strip_prefix('/'))
                };
                (after.or_else(joined)?, true)
            }
        };
        let Some(words) = shlex::split(words) else {
            return Some(Err(Misunderstood("a quote is never closed".to_owned())));
        };
        match Self::try_parse_from(words) {
            Ok(command) => Some(Ok(command)),
            // Other programs listen to comments as well: `/assign` is not a mistake.
            Err(error)
                if error.kind() == ErrorKind::InvalidSubcommand
                    && !is_addressed
                    && !has_suggestion(&error) =>
            {
                None
            }
            Err(error)
                if error.kind() == ErrorKind::DisplayHelpOnMissingArgumentOrSubcommand
                    && !is_addressed =>
            {
                None
            }
            Err(error) => Some(Err(Misunderstood(error.render().to_string()))),
        }
    }

    /// What its author must be allowed to do in the repository.
    fn needs(&self) -> Permission {
        match self {
            Self::Help(_) => Permission::Read,
            Self::Plan(_) | Self::Deploy(_) => Permission::Write,
        }
    }

    /// Does it, if its author may.
    ///
    /// # Errors
    /// When we fail; what the author got wrong is an answer.
    pub(crate) async fn obey(
        &self,
        context: &Context,
        given: &Given<'_>,
    ) -> anyhow::Result<Obeyed> {
        let permission = context.github.permission(&given.author.login).await?;
        if permission < self.needs() {
            return Ok(Obeyed::Refused(replies::not_allowed(&given.author.login)));
        }
        match self {
            Self::Plan(args) => plan::run(context, args, given).await,
            Self::Deploy(args) => deploy::run(context, args, given).await,
            Self::Help(args) => help::run(context, args).await,
        }
    }

    /// The list of commands for `/help`, taken from each command's own docs.
    pub(crate) fn help() -> String {
        Self::command().render_help().to_string()
    }
}

impl Obeyed {
    /// One word for the record.
    pub(crate) fn word(&self) -> &'static str {
        match self {
            Self::Done | Self::Answered(_) => "done",
            Self::Started => "started",
            Self::Refused(_) => "refused",
        }
    }

    /// The last sign below the comment; `None` when it is not the last.
    pub(crate) fn sign(&self) -> Option<Reaction> {
        match self {
            Self::Done | Self::Answered(_) => Some(Reaction::ThumbsUp),
            Self::Started => None,
            Self::Refused(_) => Some(Reaction::ThumbsDown),
        }
    }

    /// The text of the answer; `None` when there is none, or not yet.
    pub(crate) fn answer(self) -> Option<String> {
        match self {
            Self::Done | Self::Started => None,
            Self::Answered(answer) | Self::Refused(answer) => Some(answer),
        }
    }
}

fn has_suggestion(error: &clap::Error) -> bool {
    error.get(ContextKind::SuggestedSubcommand).is_some()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(line: &str) -> Option<Result<Command, Misunderstood>> {
        Command::parse_line(line, None)
    }

    #[test]
    fn help_lists_every_command() {
        insta::assert_snapshot!(Command::help(), @r"
        plan    Compute the plan again and rebuild this pull request's environment
        deploy  Merge this pull request and switch production to it
        help    List the commands
        ");
    }

    #[test]
    fn ordinary_comments_and_other_programs_commands_are_not_for_us() {
        for line in [
            "looks good to me",
            "/assign bob",
            "/usr/bin/env",
            "/",
            "plan",
        ] {
            assert!(parse(line).is_none(), "{line}");
        }
    }

    #[test]
    fn a_typo_gets_a_suggestion() {
        let reply = parse("/paln").unwrap().unwrap_err();
        assert!(
            reply.0.contains("a similar subcommand exists: 'plan'"),
            "{}",
            reply.0
        );
    }

    #[test]
    fn a_deployment_can_name_its_commit() {
        let Some(Ok(Command::Deploy(args))) = parse("/deploy abc1234") else {
            panic!("not understood");
        };
        assert!(args.sha.is_some());
        assert!(parse("/deploy main").unwrap().is_err());
        assert!(parse("/deploy now please").unwrap().is_err());
    }

    #[test]
    fn with_a_namespace_only_what_names_it_is_for_us() {
        let parse = |line| Command::parse_line(line, Some("duck"));
        assert!(matches!(
            parse("/duck deploy"),
            Some(Ok(Command::Deploy(_)))
        ));
        assert!(matches!(parse("duck/deploy"), Some(Ok(Command::Deploy(_)))));
        assert!(parse("/deploy").is_none());
        assert!(parse("/ducks deploy").is_none());
        assert!(parse("/duck dance").unwrap().is_err());
        let reference = Command::parse_line("#SQLMesh/deploy", Some("#SQLMesh"));
        assert!(matches!(reference, Some(Ok(Command::Deploy(_)))));
    }

    proptest::proptest! {
        #[test]
        fn no_comment_can_crash_the_parser(line in ".*", start in "/(plan|deploy|help|paln)? ?") {
            for comment in lines(&format!("{start}{line}")) {
                let _ = Command::parse_line(&comment, None);
                let _ = Command::parse_line(&comment, Some("duck"));
            }
        }
    }
}
