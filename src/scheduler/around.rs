//! Statements that run before and after everything else that a plan or a run does.

use std::ops::Range;

use anyhow::Context;
use chrono::DateTime;
use chrono::Utc;

use crate::engine::EngineAdapter;
use crate::environment::EnvironmentName;
use crate::model::RuntimeValues;
use crate::model::Template;
use crate::sql::Dialect;
use crate::sql::quote_string;
use crate::sql::tokens;
use crate::sql::tokens::TokenKind;

/// A statement of a project's configuration.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AroundStatement {
    /// As it is written.
    pub text: String,
    /// Where it stands, for whoever has to mend it: `config.yaml:12`.
    pub place: String,
}

/// `before_all` and `after_all` of a project.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Around {
    /// Before the first model.
    pub before: Vec<AroundStatement>,
    /// At the end, whether or not everything went well.
    pub after: Vec<AroundStatement>,
    /// What they are written in.
    pub dialect: Dialect,
}

impl Around {
    /// Runs what comes before everything else, in order.
    ///
    /// # Errors
    /// When a statement cannot be rendered or the engine refuses it; those after it do not run.
    pub async fn before(
        &self,
        engine: &dyn EngineAdapter,
        environment: &EnvironmentName,
        now: DateTime<Utc>,
    ) -> anyhow::Result<()> {
        self.run(&self.before, "before_all", engine, environment, now)
            .await
    }

    /// Runs what comes after everything else, in order.
    ///
    /// # Errors
    /// As [`Around::before`].
    pub async fn after(
        &self,
        engine: &dyn EngineAdapter,
        environment: &EnvironmentName,
        now: DateTime<Utc>,
    ) -> anyhow::Result<()> {
        self.run(&self.after, "after_all", engine, environment, now)
            .await
    }

    async fn run(
        &self,
        statements: &[AroundStatement],
        stage: &'static str,
        engine: &dyn EngineAdapter,
        environment: &EnvironmentName,
        now: DateTime<Utc>,
    ) -> anyhow::Result<()> {
        let values = RuntimeValues {
            range: None,
            execution_time: now,
            this_model: None,
            runtime_stage: stage,
        };
        for statement in statements {
            let place = &statement.place;
            let text = with_environment(&statement.text, environment, self.dialect);
            let sql = Template::new(text)
                .render(&values, self.dialect)
                .with_context(|| format!("rendering `{stage}` ({place})"))?;
            engine
                .execute(sql.trim_end().trim_end_matches(';'))
                .await
                .with_context(|| format!("running `{stage}` ({place})"))?;
        }
        Ok(())
    }
}

/// `@this_env` as the name of the environment: a text, and within a text the name alone.
fn with_environment(statement: &str, environment: &EnvironmentName, dialect: Dialect) -> String {
    const NAME: &str = "@this_env";
    let mut text = String::with_capacity(statement.len());
    let mut end = 0;
    let within: Vec<Range<usize>> = tokens::tokenize(statement, dialect)
        .into_iter()
        .filter(|token| token.kind == TokenKind::String)
        .map(|token| token.span)
        .collect();
    for (at, _) in statement.match_indices(NAME) {
        let after = at + NAME.len();
        if statement[after..].starts_with(|c: char| c.is_alphanumeric() || c == '_') {
            continue;
        }
        text.push_str(&statement[end..at]);
        if within.iter().any(|span| span.contains(&at)) {
            text.push_str(environment.as_str());
        } else {
            text.push_str(&quote_string(environment.as_str()));
        }
        end = after;
    }
    text.push_str(&statement[end..]);
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_environment_is_a_text_and_longer_names_are_others() {
        let dev: EnvironmentName = "dev".parse().unwrap();
        assert_eq!(
            with_environment(
                "INSERT INTO log VALUES (@this_env, @this_environment, 'into @this_env''s')",
                &dev,
                Dialect::DuckDb
            ),
            "INSERT INTO log VALUES ('dev', @this_environment, 'into dev''s')"
        );
    }
}
