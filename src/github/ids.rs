//! Names and numbers that GitHub gives to things.

use std::fmt;
use std::str::FromStr;

use serde::Deserialize;
use serde::Serialize;

use crate::github::GithubError;

/// The number of a pull request within its repository, as in `#7`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct PrNumber(pub u64);

/// The account that installed the app; tokens are given out per installation.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct InstallationId(pub u64);

/// The full name of a commit: 40 hexadecimal digits in lower case.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct CommitSha(String);

/// `owner/name` of a repository, made only of characters that GitHub allows there, so it is safe in a path.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct RepositoryName {
    owner: String,
    name: String,
}

impl CommitSha {
    /// The 40 digits.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The first 7 digits, as people write it.
    pub fn short(&self) -> &str {
        &self.0[..7]
    }
}

impl RepositoryName {
    /// The user or organisation.
    pub fn owner(&self) -> &str {
        &self.owner
    }

    /// The part after the slash.
    pub fn name(&self) -> &str {
        &self.name
    }
}

impl FromStr for CommitSha {
    type Err = GithubError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        if text.len() == 40 && text.bytes().all(|byte| byte.is_ascii_hexdigit()) {
            return Ok(Self(text.to_ascii_lowercase()));
        }
        Err(GithubError::Malformed {
            what: "commit",
            text: shown(text),
        })
    }
}

impl FromStr for PrNumber {
    type Err = GithubError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        text.parse().map(Self).map_err(|_| GithubError::Malformed {
            what: "pull request number",
            text: shown(text),
        })
    }
}

impl FromStr for InstallationId {
    type Err = GithubError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        text.parse().map(Self).map_err(|_| GithubError::Malformed {
            what: "installation id",
            text: shown(text),
        })
    }
}

impl FromStr for RepositoryName {
    type Err = GithubError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let malformed = || GithubError::Malformed {
            what: "repository name",
            text: shown(text),
        };
        let (owner, name) = text.split_once('/').ok_or_else(malformed)?;
        // Enterprise managed users carry an underscore: `ada_acme`.
        let owner_fits = (1..=100).contains(&owner.len())
            && !owner.starts_with('-')
            && owner
                .bytes()
                .all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_'));
        let name_fits = (1..=100).contains(&name.len())
            && !matches!(name, "." | "..")
            && name
                .bytes()
                .all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.'));
        if owner_fits && name_fits {
            return Ok(Self {
                owner: owner.to_owned(),
                name: name.to_owned(),
            });
        }
        Err(malformed())
    }
}

impl TryFrom<String> for CommitSha {
    type Error = GithubError;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        text.parse()
    }
}

impl TryFrom<String> for RepositoryName {
    type Error = GithubError;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        text.parse()
    }
}

impl From<CommitSha> for String {
    fn from(sha: CommitSha) -> Self {
        sha.0
    }
}

impl From<RepositoryName> for String {
    fn from(name: RepositoryName) -> Self {
        name.to_string()
    }
}

impl fmt::Display for CommitSha {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Display for PrNumber {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl fmt::Display for InstallationId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl fmt::Display for RepositoryName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.owner, self.name)
    }
}

/// At most 60 characters of what someone sent, without control characters.
fn shown(text: &str) -> String {
    text.chars()
        .filter(|character| !character.is_control())
        .take(60)
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_commit_is_forty_hexadecimal_digits() {
        let sha: CommitSha = "0123456789ABCDEF0123456789abcdef01234567".parse().unwrap();
        assert_eq!(sha.as_str(), "0123456789abcdef0123456789abcdef01234567");
        assert_eq!(sha.short(), "0123456");
        for wrong in [
            "",
            "main",
            "0123456",
            "--upload-pack=x",
            &"g".repeat(40),
            &"0".repeat(64),
        ] {
            assert!(wrong.parse::<CommitSha>().is_err(), "{wrong}");
        }
    }

    #[test]
    fn a_repository_name_cannot_leave_its_place_in_a_path() {
        let name: RepositoryName = "acme/ware.house_2-x".parse().unwrap();
        assert_eq!((name.owner(), name.name()), ("acme", "ware.house_2-x"));
        for wrong in [
            "acme", "acme/", "/x", "acme/..", "../x", "a/b/c", "a/b?c", "a/b c", "-a/b", "a/b%2f",
        ] {
            assert!(wrong.parse::<RepositoryName>().is_err(), "{wrong}");
        }
    }

    #[test]
    fn names_travel_through_json_as_text_and_are_checked_on_the_way_in() {
        let name: RepositoryName = serde_json::from_str("\"acme/warehouse\"").unwrap();
        assert_eq!(serde_json::to_string(&name).unwrap(), "\"acme/warehouse\"");
        assert!(serde_json::from_str::<RepositoryName>("\"acme\"").is_err());
        assert!(serde_json::from_str::<CommitSha>("\"main\"").is_err());
        assert_eq!(serde_json::to_string(&PrNumber(7)).unwrap(), "7");
    }
}
