//! The first figure in which two values differ, by its place in their JSON.

use serde::Serialize;
use serde_json::Value;

/// One figure, stated and proven.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{line}: stated {stated}, proven {proven}")]
pub struct Difference {
    /// Where: names and numbers (from 1), for example `epochs 2, nodes 1, amount`.
    pub line: String,
    /// What the bill says.
    pub stated: String,
    /// What the proof makes it.
    pub proven: String,
}

/// Where `stated` says something else than `proven`.
///
/// # Errors
/// The first such place: lists in their order, fields by name.
pub(crate) fn compare<T: Serialize>(stated: &T, proven: &T) -> Result<(), Difference> {
    let value = |of: &T| serde_json::to_value(of).expect("plain data serializes");
    walk(String::new(), &value(stated), &value(proven))
}

fn walk(line: String, stated: &Value, proven: &Value) -> Result<(), Difference> {
    match (stated, proven) {
        (Value::Object(stated), Value::Object(proven)) if stated.keys().eq(proven.keys()) => {
            // A list tells more than the sums of it.
            let is_list = |value: &Value| value.is_array() || value.is_object();
            for lists in [true, false] {
                for (name, proven) in proven.iter().filter(|(_, value)| is_list(value) == lists) {
                    let comma = if line.is_empty() { "" } else { ", " };
                    walk(format!("{line}{comma}{name}"), &stated[name], proven)?;
                }
            }
            Ok(())
        }
        (Value::Array(stated), Value::Array(proven)) => {
            for (number, proven) in (1..).zip(proven) {
                let place = format!("{line} {number}");
                walk(place, stated.get(number - 1).unwrap_or(&Value::Null), proven)?;
            }
            let many = |list: &[Value]| format!("{} lines", list.len());
            differ(stated.len() == proven.len(), line, many(stated), many(proven))
        }
        _ => differ(stated == proven, line, text(stated), text(proven)),
    }
}

fn differ(is_same: bool, line: String, stated: String, proven: String) -> Result<(), Difference> {
    if is_same { Ok(()) } else { Err(Difference { line, stated, proven }) }
}

/// A figure as it is, anything larger cut short.
fn text(value: &Value) -> String {
    const LENGTH_MAX: usize = 120;
    match value {
        Value::Null => "no such line".into(),
        Value::String(text) => text.chars().take(LENGTH_MAX).collect(),
        other => other.to_string().chars().take(LENGTH_MAX).collect(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn the_first_difference_is_named_with_both_figures() {
        let proven = json!({"lines": [{"amount": "5", "fee": 1}, {"amount": "7", "fee": 1}], "sum": "12"});
        assert_eq!(compare(&proven, &proven), Ok(()));
        let differs = |stated: Value| compare(&stated, &proven).unwrap_err().to_string();
        let wrong = json!({"lines": [{"amount": "5", "fee": 1}, {"amount": "8", "fee": 1}], "sum": "13"});
        assert_eq!(differs(wrong), "lines 2, amount: stated 8, proven 7");
        let short = json!({"lines": [{"amount": "5", "fee": 1}], "sum": "12"});
        assert_eq!(differs(short), "lines 2: stated no such line, proven {\"amount\":\"7\",\"fee\":1}");
        let long = json!({"lines": [{"amount": "5", "fee": 1}, {"amount": "7", "fee": 1}, 1], "sum": "12"});
        assert_eq!(differs(long), "lines: stated 3 lines, proven 2 lines");
        let sum = json!({"lines": [{"amount": "5", "fee": 1}, {"amount": "7", "fee": 1}], "sum": "11"});
        assert_eq!(differs(sum), "sum: stated 11, proven 12");
    }
}
