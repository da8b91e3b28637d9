//! A rule's message, with places for values.

use logystera_schemas::detection::Label;

/// A message with places for values.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Template(pub Vec<Piece>);

/// A piece of a message.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Piece {
    /// Text as it is.
    Text(String),
    /// `{count}`: the matches of the episode.
    Count,
    /// `{site}`: the site's name.
    Site,
    /// `{within}`: the window, or the span of an absence, as people write it; filled in when the rule is read.
    Within(String),
    /// `{<field>}`: the value of the group's field with this index in `group_by`.
    Group(usize),
}

impl Template {
    /// The message for these values; `group` is [`Detection::group`](logystera_schemas::detection::Detection::group).
    pub fn fill(&self, count: u64, site: &str, group: &[Label]) -> String {
        let mut text = String::new();
        for piece in &self.0 {
            match piece {
                Piece::Text(t) | Piece::Within(t) => text.push_str(t),
                Piece::Count => text.push_str(&count.to_string()),
                Piece::Site => text.push_str(site),
                Piece::Group(place) => text.push_str(group.get(*place).map_or("", |l| l.value.as_str())),
            }
        }
        text
    }
}
