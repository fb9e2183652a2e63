//! The report of a difference, from which the steps can be played again.

use super::compare::first_difference;
use super::operation::SideOperation;
use super::outcome::OperationOutcome;
use super::profile::Profile;
use super::side_pair::OutcomeDifference;
use std::fmt;

/// A difference and the steps to it.
#[derive(Debug, Clone)]
pub struct DifferentialFailure {
    /// The profile of the sequence.
    pub profile: Profile,
    /// The seed of the sequence.
    pub seed: u64,
    /// Names of the two sides.
    pub sides: [String; 2],
    /// The steps, the last of which differs. They are cut down if the difference came again.
    pub steps: Vec<SideOperation>,
    /// Whether the difference came again when the steps were played once more.
    pub again: bool,
    /// The difference.
    pub difference: OutcomeDifference,
}

impl DifferentialFailure {
    /// A text that is equal for failures of the same kind.
    pub fn signature(&self) -> String {
        let kind = |operation: &SideOperation| {
            let text = format!("{operation:?}");
            text.split(['{', '(']).take(2).collect::<Vec<_>>().join(" ")
        };
        let (left, right) = parts(&self.difference);
        let short = |text: String| text.chars().take(60).collect::<String>();
        format!("{} {} / {}", kind(&self.difference.operation), short(left), short(right))
    }
}

/// The two outcomes; of two trees only the first nodes that differ.
fn parts(difference: &OutcomeDifference) -> (String, String) {
    if let (OperationOutcome::Tree(left), OperationOutcome::Tree(right)) =
        (&difference.left, &difference.right)
        && let Some((left, right)) = first_difference(left, right)
    {
        return (format!("{left:?}"), format!("{right:?}"));
    }
    (format!("{:?}", difference.left), format!("{:?}", difference.right))
}

impl fmt::Display for DifferentialFailure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (left, right) = parts(&self.difference);
        let again = if self.again { "" } else { ", NOT SEEN AGAIN when played once more" };
        writeln!(f, "difference: profile {}, seed {}{again}", self.profile.name(), self.seed)?;
        for step in &self.steps {
            writeln!(f, "  {step:?}")?;
        }
        writeln!(f, "{:>8}: {left}", self.sides[0])?;
        writeln!(f, "{:>8}: {right}", self.sides[1])?;
        let json = serde_json::to_string(&self.steps).map_err(|_| fmt::Error)?;
        writeln!(f, "again: PENFOLD_DIFFERENTIAL_PROFILE={} and this in the file that", self.profile.name())?;
        writeln!(f, "PENFOLD_DIFFERENTIAL_REPLAY names:\n{json}")
    }
}
