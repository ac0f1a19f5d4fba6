//! Goes through the lowered form and tells what is read: registers, and the variables of macros.

use super::super::form::{Items, Term, Test};

/// What an expression reads.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Read {
    /// A register.
    Register(usize),
    /// The variable of a macro, of one inside of the expression as well.
    Variable,
}

pub(crate) fn test(of: &Test, see: &mut dyn FnMut(Read)) {
    match of {
        Test::Const(_) | Test::HasField(_) => {}
        Test::HasFact(register) => see(Read::Register(*register)),
        Test::Not(operand) => test(operand, see),
        Test::And(operands) | Test::Or(operands) => operands.iter().for_each(|operand| test(operand, see)),
        Test::If(parts) => parts.iter().for_each(|part| test(part, see)),
        Test::Equal(_, terms) | Test::Order(_, terms) => terms.iter().for_each(|operand| term(operand, see)),
        Test::StartsWith(terms) | Test::EndsWith(terms) | Test::Contains(terms) => {
            terms.iter().for_each(|operand| term(operand, see));
        }
        Test::EqualItems(_, both) => both.iter().for_each(|one| items(one, see)),
        Test::In(parts) => {
            term(&parts.0, see);
            items(&parts.1, see);
        }
        Test::Glob(parts) => term(&parts.0, see),
        Test::Every(_, parts) => {
            items(&parts.0, see);
            test(&parts.1, see);
        }
        Test::Value(operand) => term(operand, see),
    }
}

pub(crate) fn term(of: &Term, see: &mut dyn FnMut(Read)) {
    match of {
        Term::Variable(_) => see(Read::Variable),
        Term::Const(_) | Term::Field(..) | Term::Envelope(_) => {}
        Term::Fact(register) => see(Read::Register(*register)),
        Term::Keyed(register, _, key) => {
            see(Read::Register(*register));
            term(key, see);
        }
        Term::Size(operand) | Term::Negate(operand) => term(operand, see),
        Term::Count(counted) => items(counted, see),
        Term::Arithmetic(_, operands) => operands.iter().for_each(|operand| term(operand, see)),
        Term::If(parts) => {
            test(&parts.0, see);
            term(&parts.1, see);
            term(&parts.2, see);
        }
        Term::Test(of) => test(of, see),
    }
}

pub(crate) fn items(of: &Items, see: &mut dyn FnMut(Read)) {
    match of {
        Items::Const(_) | Items::Field(..) => {}
        Items::Fact(register) => see(Read::Register(*register)),
        Items::If(parts) => {
            test(&parts.0, see);
            items(&parts.1, see);
            items(&parts.2, see);
        }
    }
}
