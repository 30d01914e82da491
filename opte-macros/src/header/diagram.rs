//! The picture of a header as an RFC draws it: 32 bits a row.

use super::valid::Plan;
use std::fmt::Write;
use syn::ext::IdentExt;

const ROW: usize = 32;

/// The lines of the diagram, if the macro knows every width.
pub(crate) fn lines(plan: &Plan<'_>) -> Option<Vec<String>> {
    let total = plan.bits?;
    let mut fields = Vec::new();
    for fixed in &plan.fields {
        let name = fixed.field.ident.unraw().to_string();
        fields.push((
            fixed.offset?,
            fixed.bits?,
            name.trim_start_matches('_').to_owned(),
        ));
    }
    let width = total.min(ROW);
    let mut lines = vec![tens(width), units(width)];
    let rule = |from: usize| {
        let mut line = String::from(" ");
        for bit in 0..ROW.min(total - from.min(total)).max(1) {
            line.push('+');
            let at = from + bit;
            let inside = fields.iter().any(|(offset, bits, _)| {
                *offset < from
                    && offset + bits > at
                    && (*offset <= from.saturating_sub(ROW) || offset + bits >= from + ROW)
            });
            line.push(if inside && from > 0 { ' ' } else { '-' });
        }
        line + "+"
    };
    for row in (0..total).step_by(ROW) {
        lines.push(rule(row));
        lines.push(labels(&fields, row, total.min(row + ROW)));
    }
    let last = ROW.min(total - (total.saturating_sub(1) / ROW) * ROW);
    match &plan.tail {
        Some(tail) => {
            lines.push(format!(" {}+", "+-".repeat(width)));
            lines.push(format!(
                " /{:^1$}/",
                format!("{} ...", tail.field.ident.unraw()),
                2 * width - 1
            ));
            lines.push(format!(" {}+", "+-".repeat(width)));
        }
        None => lines.push(format!(" {}+", "+-".repeat(last))),
    }
    Some(lines)
}

fn tens(width: usize) -> String {
    (0..width).fold(String::from(" "), |mut line, bit| {
        let _ = match bit % 10 {
            0 => write!(line, " {}", bit / 10),
            _ => write!(line, "  "),
        };
        line
    })
}

fn units(width: usize) -> String {
    (0..width).fold(String::from(" "), |mut line, bit| {
        let _ = write!(line, " {}", bit % 10);
        line
    })
}

/// The labels of the bits from `row` to `end`, each in the middle row of its field.
fn labels(fields: &[(usize, usize, String)], row: usize, end: usize) -> String {
    let mut line = String::from(" |");
    for (offset, bits, name) in fields {
        let (first, last) = ((*offset).max(row), (offset + bits).min(end));
        if first >= last {
            continue;
        }
        let room = 2 * (last - first) - 1;
        let middle = (offset + (bits - 1) / 2) / ROW * ROW;
        let label = if middle == row { name.as_str() } else { "" };
        let label: String = label.chars().take(room).collect();
        let _ = write!(line, "{label:^room$}|");
    }
    line
}
