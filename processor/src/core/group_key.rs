//! What tells the groups of a rule apart.

use std::cmp::Ordering;
use std::ops::Deref;

use logystera_ruleset::{Rule, read_present, show_value, write_present};
use logystera_schemas::avro::{Reader, Writer};
use logystera_schemas::batch::{Fields, Value};
use logystera_schemas::catalogue::FieldKind;
use logystera_schemas::detection::Label;
use smallvec::SmallVec;

/// A group's key: the values of the `group_by` fields in order, in Avro's encoding, each after the branch that says
/// whether it is there. Ordered as its bytes are.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct GroupKey(SmallVec<[u8; 24]>);

impl GroupKey {
    /// The group that a signal belongs to.
    pub(crate) fn of(rule: &Rule, fields: &Fields<'_>) -> Self {
        if rule.group_by.is_empty() {
            return Self::default();
        }
        // The usual case, a single hash, without a detour: 2 is the branch that says that it is there.
        if let [field] = rule.group_by.as_slice()
            && let Value::Hash(hash) = &fields[*field]
        {
            let mut key = [2; 17];
            key[1..].copy_from_slice(*hash);
            return Self::from_slice(&key);
        }
        let mut to = Writer::new();
        rule.group_by.iter().for_each(|field| write_present(&mut to, &fields[*field]));
        Self::from_slice(to.as_bytes())
    }

    /// The group of this value, of a rule that groups by one field.
    pub(crate) fn of_value(value: &Value<'_>) -> Self {
        let mut to = Writer::new();
        write_present(&mut to, value);
        Self::from_slice(to.as_bytes())
    }

    /// The key with these bytes.
    pub(crate) fn from_slice(bytes: &[u8]) -> Self {
        Self(SmallVec::from_slice(bytes))
    }
}

impl Deref for GroupKey {
    type Target = [u8];

    #[inline]
    fn deref(&self) -> &[u8] {
        &self.0
    }
}

impl Ord for GroupKey {
    #[inline]
    fn cmp(&self, other: &Self) -> Ordering {
        let (own, others): (&[u8], &[u8]) = (self, other);
        // The head of a hash nearly always tells two keys apart, at the cost of one comparison.
        if let (Some((head, _)), Some((other_head, _))) = (own.split_first_chunk(), others.split_first_chunk()) {
            let heads = u64::from_be_bytes(*head).cmp(&u64::from_be_bytes(*other_head));
            if heads.is_ne() {
                return heads;
            }
        }
        own.cmp(others)
    }
}

impl PartialOrd for GroupKey {
    #[inline]
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

/// The most bytes that a key of the rule can have.
pub(crate) fn bytes_max(rule: &Rule) -> usize {
    let Some(signal) = rule.signal else { return 0 };
    let value_bytes = |field: &usize| match &signal.def().fields[*field].kind {
        FieldKind::Enum(_) | FieldKind::Bool => 1,
        // A list: its length, the indexes of its symbols, its end.
        FieldKind::EnumList(symbols) => symbols.len() + 2,
        FieldKind::Int { .. } => 10,
        FieldKind::Hash => 16,
        FieldKind::Ident { max, .. } => max + 2,
    };
    rule.group_by.iter().map(|field| 1 + value_bytes(field)).sum()
}

/// The fields and values of a group's key as a detection shows them.
pub(crate) fn labels_of(rule: &Rule, key: &[u8]) -> Vec<Label> {
    let Some(signal) = rule.signal else { return Vec::new() };
    let mut reader = Reader::new(key);
    let mut labels = Vec::new();
    for field in &rule.group_by {
        let def = &signal.def().fields[*field];
        let Ok(value) = read_present(&mut reader, &def.kind) else { break };
        let mut text = String::new();
        // Writing to a string does not fail.
        let _ = show_value(signal, *field, &value, &mut text);
        labels.push(Label { field: def.name.clone(), value: text });
    }
    labels
}
