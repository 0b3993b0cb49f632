//! From a mapping as it is declared to one that can be carried out, or all that is wrong with it.

use std::collections::{BTreeMap, HashSet};

use super::convert::{Convert, Target};
use super::rules::Rules;
use super::unit::{Scale, ScaleError};
use super::{Case, Conversion, Mapper, Mapping, MappingFault};
use crate::key::Key;
use crate::pattern::Pattern;

pub(super) fn check(mapping: &Mapping) -> Result<Mapper, Vec<MappingFault>> {
    let mut check = Check { faults: Vec::new() };
    let mapper = Mapper {
        case: mapping.case.as_ref().and_then(|name| check.case(name)),
        convert: check.convert(&mapping.convert),
        drop: check.drop(&mapping.drop),
        moves: check.moves(&mapping.moves),
        prefix: mapping.prefix.as_ref().and_then(|prefix| check.key("prefix", prefix)),
        rename: check.rename(&mapping.rename),
        split: check.split(&mapping.split),
    };
    match check.faults.is_empty() {
        true => Ok(mapper),
        false => Err(check.faults),
    }
}

/// The faults so far. What is at fault is left out of what the methods return.
struct Check {
    faults: Vec<MappingFault>,
}

impl Check {
    fn case(&mut self, name: &str) -> Option<Case> {
        let case = Case::named(name);
        if case.is_none() {
            self.faults.push(MappingFault::UnknownCase { name: name.to_owned() });
        }
        case
    }

    fn convert(&mut self, declared: &BTreeMap<String, Conversion>) -> Rules<Convert> {
        let rules = self.by_pattern("convert", declared);
        let rules = rules.into_iter().filter_map(|(pattern, conversion)| {
            let convert = self.conversion(&pattern.to_string(), conversion)?;
            Some((pattern, convert))
        });
        Rules::new(rules.collect::<Vec<_>>())
    }

    fn conversion(&mut self, key: &str, declared: &Conversion) -> Option<Convert> {
        let before = self.faults.len();
        let key = || key.to_owned();
        let to = declared.to.as_ref().and_then(|name| {
            let target = Target::named(name);
            if target.is_none() {
                self.faults.push(MappingFault::UnknownType { key: key(), name: name.clone() });
            }
            target
        });
        let scale = declared.unit.as_ref().and_then(|unit| match Scale::parse(unit) {
            Ok(scale) => Some(scale),
            Err(error) => {
                let unit = unit.clone();
                self.faults.push(match error {
                    ScaleError::NoArrow => MappingFault::BadUnit { key: key(), unit },
                    ScaleError::Unknown(name) => MappingFault::UnknownUnit { key: key(), name },
                    ScaleError::OtherQuantity => MappingFault::OtherQuantity { key: key(), unit },
                });
                None
            }
        });
        if declared.to.is_none() && declared.unit.is_none() {
            self.faults.push(MappingFault::NoConversion { key: key() });
        }
        if let Some(to) = to
            && declared.unit.is_some()
            && !to.is_number()
        {
            self.faults.push(MappingFault::UnitWithoutNumber { key: key(), to: to.as_str() });
        }
        (self.faults.len() == before).then_some(Convert { to, scale })
    }

    fn drop(&mut self, declared: &[String]) -> Rules<()> {
        let patterns = declared.iter().filter_map(|text| self.pattern("drop", text));
        Rules::new(patterns.map(|pattern| (pattern, ())).collect::<Vec<_>>())
    }

    fn moves(&mut self, declared: &BTreeMap<String, String>) -> BTreeMap<Key, Key> {
        let mut moves = BTreeMap::new();
        for (from, to) in declared {
            let (from, to) = (self.key("move", from), self.key("move", to));
            let (Some(from), Some(to)) = (from, to) else { continue };
            if moves.contains_key(&from) {
                self.faults.push(MappingFault::Twice { rule: "move", key: from.to_string() });
            }
            moves.insert(from, to);
        }
        moves
    }

    fn rename(&mut self, declared: &BTreeMap<String, String>) -> Rules<Pattern> {
        let mut rules = Vec::new();
        for (from, to) in self.by_pattern("rename", declared) {
            let Some(to) = self.pattern("rename", to) else { continue };
            if from.same_wildcards(&to) {
                rules.push((from, to));
            } else {
                let (from, to) = (from.to_string(), to.to_string());
                self.faults.push(MappingFault::Wildcards { from, to });
            }
        }
        Rules::new(rules)
    }

    fn split(&mut self, declared: &BTreeMap<String, String>) -> Rules<String> {
        let rules = self.by_pattern("split", declared);
        Rules::new(rules.into_iter().map(|(pattern, field)| (pattern, field.clone())))
    }

    fn by_pattern<'d, T>(
        &mut self,
        rule: &'static str,
        declared: &'d BTreeMap<String, T>,
    ) -> Vec<(Pattern, &'d T)> {
        let mut seen = HashSet::new();
        let mut rules = Vec::new();
        for (text, declared) in declared {
            let Some(pattern) = self.pattern(rule, text) else { continue };
            if !seen.insert(pattern.clone()) {
                self.faults.push(MappingFault::Twice { rule, key: pattern.to_string() });
            }
            rules.push((pattern, declared));
        }
        rules
    }

    fn pattern(&mut self, rule: &'static str, text: &str) -> Option<Pattern> {
        let fault = |reason| self.faults.push(MappingFault::BadPattern { rule, reason });
        Pattern::parse(text).map_err(fault).ok()
    }

    fn key(&mut self, rule: &'static str, text: &str) -> Option<Key> {
        let fault = |reason| self.faults.push(MappingFault::BadKey { rule, reason });
        Key::parse(text).map_err(fault).ok()
    }
}
