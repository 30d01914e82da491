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
    let rule = |from: usize| rule(&fields, from, if from == 0 { width } else { ROW });
    for row in (0..total).step_by(ROW) {
        lines.push(rule(row));
        lines.push(labels(&fields, row, total.min(row + ROW)));
    }
    let last = if total <= ROW {
        total
    } else {
        (total - 1) % ROW + 1
    };
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
    lines.extend(legend(&fields));
    Some(lines)
}

/// The names that have no room in the picture, as they stand there and in full.
fn legend(fields: &[(usize, usize, String)]) -> Vec<String> {
    let cut = fields.iter().filter_map(|(offset, bits, name)| {
        let shown = label(*offset, *bits, name);
        (shown.len() < name.len()).then(|| format!(" {shown}: {name}, bit {offset}"))
    });
    let lines: Vec<_> = cut.collect();
    match lines.is_empty() {
        true => lines,
        false => [String::new()].into_iter().chain(lines).collect(),
    }
}

/// As much of a field's name as its widest row has room for.
fn label(offset: usize, bits: usize, name: &str) -> String {
    let (first, last) = widest(offset, bits);
    name.chars().take(2 * (last - first) - 1).collect()
}

/// The bits of a field in the row where its name stands: the middle one of whole rows, or the wider one of two parts.
fn widest(offset: usize, bits: usize) -> (usize, usize) {
    let end = offset + bits;
    let row = |row: usize| (offset.max(row), end.min(row + ROW));
    let middle = row((offset + (bits - 1) / 2) / ROW * ROW);
    let rows = (offset / ROW * ROW..end).step_by(ROW).map(row);
    rows.fold(middle, |best, other| {
        if other.1 - other.0 > best.1 - best.0 {
            other
        } else {
            best
        }
    })
}

/// The line above the row that starts at bit `from`: open where one field goes on from the row before.
fn rule(fields: &[(usize, usize, String)], from: usize, width: usize) -> String {
    let goes_on = |bit: usize| {
        fields
            .iter()
            .any(|(offset, bits, _)| *offset + ROW <= bit && offset + bits > bit && from > 0)
    };
    let mut line = String::from(" ");
    let mut before = false;
    for bit in from..from + width {
        let open = goes_on(bit);
        line.push(if open && before { ' ' } else { '+' });
        line.push(if open { ' ' } else { '-' });
        before = open;
    }
    line + "+"
}

fn tens(width: usize) -> String {
    let line = (0..width).fold(String::from(" "), |mut line, bit| {
        let _ = match bit % 10 {
            0 => write!(line, " {}", bit / 10),
            _ => write!(line, "  "),
        };
        line
    });
    line.trim_end().to_owned()
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
        let label = match widest(*offset, *bits).0 == first {
            true => label(*offset, *bits, name),
            false => String::new(),
        };
        let _ = write!(line, "{label:^room$}|");
    }
    line
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::diagnostics::Errors;
    use crate::header::ast::Struct;

    fn drawn(input: &str) -> String {
        let input = syn::parse_str(input).unwrap();
        let errors = Errors::default();
        let ast = Struct::from_input(&input, &errors).unwrap();
        let plan = Plan::new(&ast, &errors);
        lines(&plan).unwrap().join("\n")
    }

    #[test]
    fn rows_of_an_rfc() {
        let picture = drawn(
            "struct Sample {
                version: u4, ihl: u4, tos: u8, total_len: u16,
                source: Ipv6Addr,
                #[header(bytes(len = ihl))] options: TailBytes<40>,
            }",
        );
        assert_eq!(picture, &SAMPLE[1..]);
    }

    #[test]
    fn a_last_row_that_is_shorter() {
        let picture = drawn("struct Sample { mac: MacAddr, port: u16, flags: u8 }");
        assert_eq!(picture, &SHORT[1..]);
    }

    #[test]
    fn names_without_room() {
        let picture =
            drawn("struct Sample { version: u3, p: bool, class: u28, across: u40, rest: u24 }");
        assert_eq!(picture, &CUT[1..]);
    }

    const CUT: &str = "
  0                   1                   2                   3
  0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1
 +-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
 |versi|p|                         class                         |
 +-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
 |                            across                             |
 +               +-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
 |               |                     rest                      |
 +-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+

 versi: version, bit 0";

    const SAMPLE: &str = "
  0                   1                   2                   3
  0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1
 +-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
 |version|  ihl  |      tos      |           total_len           |
 +-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
 |                                                               |
 +                                                               +
 |                            source                             |
 +                                                               +
 |                                                               |
 +                                                               +
 |                                                               |
 +-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
 /                          options ...                          /
 +-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+";

    const SHORT: &str = "
  0                   1                   2                   3
  0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1
 +-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
 |                              mac                              |
 +                               +-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
 |                               |             port              |
 +-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
 |     flags     |
 +-+-+-+-+-+-+-+-+";
}
