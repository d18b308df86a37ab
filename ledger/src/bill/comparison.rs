//! Statements against those that the readings make, line by line.

use super::BillError;
use crate::statement::{Line, Statement};
use std::fmt::Debug;

/// Whether `stated` says what `proven` says.
///
/// # Errors
/// The first line that differs, with both figures.
pub(super) fn compare(stated: &[Statement], proven: &[Statement]) -> Result<(), BillError> {
    for (number, (stated, proven)) in (1..).zip(stated.iter().zip(proven)) {
        statement(stated, proven).map_err(|(line, stated, proven)| BillError::Differs {
            statement: number,
            line,
            stated,
            proven,
        })?;
    }
    if stated.len() == proven.len() {
        Ok(())
    } else {
        Err(BillError::Count { stated: stated.len(), proven: proven.len() })
    }
}

/// Where two statements differ, and what each says there.
type Difference = (String, String, String);

fn statement(stated: &Statement, proven: &Statement) -> Result<(), Difference> {
    same("canister", &stated.canister.to_text(), &proven.canister.to_text())?;
    same("from, height", &stated.from.height.get(), &proven.from.height.get())?;
    same("from, time", &stated.from.time.get(), &proven.from.time.get())?;
    same("to, height", &stated.to.height.get(), &proven.to.height.get())?;
    same("to, time", &stated.to.time.get(), &proven.to.time.get())?;
    same("tariff at the beginning", &stated.tariff_version_from, &proven.tariff_version_from)?;
    same("tariff", &stated.tariff_version, &proven.tariff_version)?;
    same("nodes", &stated.nodes, &proven.nodes)?;
    for (position, proven) in proven.lines.iter().enumerate() {
        let name = proven.resource.name();
        let Some(stated) = stated.lines.get(position) else {
            return Err((name.into(), "no such line".into(), format!("{} cycles", proven.amount)));
        };
        line(stated, proven).map_err(|(what, stated, proven)| (format!("{name}, {what}"), stated, proven))?;
    }
    same("lines", &stated.lines.len(), &proven.lines.len())?;
    same("opening", &stated.opening.get(), &proven.opening.get())?;
    same("received", &stated.received.get(), &proven.received.get())?;
    same("sent", &stated.sent.get(), &proven.sent.get())?;
    same("charged", &stated.charged.get(), &proven.charged.get())?;
    same("closing", &stated.closing.get(), &proven.closing.get())?;
    same("to operators", &stated.paid_to.operators.get(), &proven.paid_to.operators.get())?;
    same("to the reserve", &stated.paid_to.reserve.get(), &proven.paid_to.reserve.get())?;
    same("to the commons", &stated.paid_to.commons.get(), &proven.paid_to.commons.get())?;
    same("rounding", &stated.paid_to.rounding.get(), &proven.paid_to.rounding.get())?;
    same("outlook", &stated.outlook, &proven.outlook)
}

fn line(stated: &Line, proven: &Line) -> Result<(), Difference> {
    same("resource", &stated.resource.name(), &proven.resource.name())?;
    same("previous reading", &stated.previous, &proven.previous)?;
    same("present reading", &stated.present, &proven.present)?;
    same("quantity", &stated.quantity, &proven.quantity)?;
    same("price, numerator", &stated.price.numerator, &proven.price.numerator)?;
    same("price, denominator", &stated.price.denominator, &proven.price.denominator)?;
    same("fractions carried", &stated.carried, &proven.carried)?;
    same("amount", &stated.amount.get(), &proven.amount.get())
}

fn same<T: PartialEq + Debug>(what: &str, stated: &T, proven: &T) -> Result<(), Difference> {
    if stated == proven { Ok(()) } else { Err((what.into(), format!("{stated:?}"), format!("{proven:?}"))) }
}
