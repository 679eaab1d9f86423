//! The name of an environment.

use std::fmt;
use std::str::FromStr;

use serde::Deserialize;
use serde::Serialize;

/// Lower case letters, digits and `_`; anything else becomes `_`. Names views, so it never needs quotes.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(from = "String", into = "String")]
pub struct EnvironmentName(String);

impl EnvironmentName {
    /// Production.
    pub fn prod() -> Self {
        Self("prod".to_owned())
    }

    /// Whether this is production, whose views have the models' own names.
    pub fn is_prod(&self) -> bool {
        self.0 == "prod"
    }

    /// The name as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// A name without a letter or digit, such as what an unset variable of a shell gives.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the name of an environment needs a letter from a to z or a digit")]
pub struct NoName;

impl FromStr for EnvironmentName {
    type Err = NoName;

    fn from_str(text: &str) -> Result<Self, NoName> {
        let name = Self::from(text.to_owned());
        if name.0.bytes().all(|byte| byte == b'_') {
            return Err(NoName);
        }
        Ok(name)
    }
}

impl From<String> for EnvironmentName {
    fn from(text: String) -> Self {
        let clean = |c: char| {
            if c.is_ascii_alphanumeric() {
                c.to_ascii_lowercase()
            } else {
                '_'
            }
        };
        Self(text.trim().chars().map(clean).collect())
    }
}

impl From<EnvironmentName> for String {
    fn from(name: EnvironmentName) -> Self {
        name.0
    }
}

impl fmt::Display for EnvironmentName {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_branch_name_becomes_an_environment_name() {
        assert_eq!(
            EnvironmentName::from("Dev-Feature/1".to_owned()).as_str(),
            "dev_feature_1"
        );
    }

    #[test]
    fn an_environment_needs_a_name() {
        assert_eq!("".parse::<EnvironmentName>(), Err(NoName));
        assert_eq!(" /".parse::<EnvironmentName>(), Err(NoName));
        assert_eq!(
            "Dev-1".parse(),
            Ok(EnvironmentName::from("dev_1".to_owned()))
        );
    }
}
