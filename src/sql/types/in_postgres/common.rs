//! One type for several values, as PostgreSQL finds it for CASE, UNION and arrays.

use crate::sql::types::DataType;
use crate::sql::types::Operand;
use crate::sql::types::in_postgres::catalog;

/// The type of all `operands`; `None` when they do not fit.
pub(super) fn common(operands: &[&Operand]) -> Option<Operand> {
    let mut types = Vec::new();
    for operand in operands {
        match operand {
            Operand::Typed(data_type) => types.push(data_type),
            // An untyped text or NULL takes the type of the others.
            Operand::Null | Operand::String(_) => {}
            Operand::Integer(_) => return None,
        }
    }
    let Some((first, others)) = types.split_first() else {
        return match operands {
            [one] => Some((*one).clone()),
            _ => Some(DataType::Varchar.into()),
        };
    };
    if types.len() == operands.len() && others.iter().all(|other| other == first) {
        return Some((*first).clone().into());
    }
    if !types.iter().all(|data_type| catalog::is_known(data_type)) {
        return None;
    }
    let mut all = catalog::bare(first);
    for other in others {
        all = of_two(all, catalog::bare(other))?;
    }
    Some(all.into())
}

fn of_two(one: DataType, other: DataType) -> Option<DataType> {
    if one == other {
        return Some(one);
    }
    let (category, is_preferred) = catalog::category(&one);
    if category != catalog::category(&other).0 {
        return None;
    }
    let moves = !is_preferred && catalog::casts(&one, &other) && !catalog::casts(&other, &one);
    if moves {
        return Some(other);
    }
    // The others must be cast to it then.
    catalog::casts(&other, &one).then_some(one)
}
