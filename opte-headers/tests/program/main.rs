//! Programs against a transformer that works byte by byte and sums whole frames.

mod bound;
mod facts;
mod flow;
mod model;

use model::{Model, Rng, Step};
use opte_headers::program::{Program, ProgramError, Sums};

const CASES: u64 = if cfg!(miri) { 12 } else { 6_000 };

/// A random frame, random steps for it, and what they make of it.
struct Case {
    seed: u64,
    before: Model,
    steps: Vec<Step>,
    /// The frame after each step.
    after: Vec<Model>,
    programs: Vec<Program>,
    fused: Program,
}

impl Case {
    /// A case, as far as programs have room for it.
    fn new(seed: u64) -> Self {
        let mut rng = Rng::new(seed);
        let before = Model::random(&mut rng);
        let mut case = Case {
            seed,
            before: before.clone(),
            steps: vec![],
            after: vec![],
            programs: vec![],
            fused: Program::IDENTITY,
        };
        let mut model = before;
        for _ in 0..1 + rng.below(9) {
            let step = model.step(&mut rng);
            let program = model.program(&step).expect("a step always has a program");
            let fused = match case.fused.fuse(&program) {
                Ok(fused) => fused,
                Err(full) => {
                    assert!(
                        matches!(
                            full,
                            ProgramError::PrefixFull
                                | ProgramError::RewriteFull
                                | ProgramError::ChecksumsFull
                        ),
                        "{full}"
                    );
                    break;
                }
            };
            model.apply(&step);
            case.fused = fused;
            case.programs.push(program);
            case.after.push(model.clone());
            case.steps.push(step);
        }
        case
    }

    fn last(&self) -> &Model {
        self.after.last().unwrap_or(&self.before)
    }
}

#[test]
fn each_step_does_what_the_bytewise_transformer_does() {
    for case in (0..CASES).map(Case::new) {
        let mut model = &case.before;
        for ((step, after), program) in case.steps.iter().zip(&case.after).zip(&case.programs) {
            let seen = model.run(program, 128, false, Sums::Complete);
            assert_eq!(
                seen,
                after.bytes(),
                "seed {}: {step:?} on {model:?}",
                case.seed
            );
            model = after;
        }
    }
}

#[test]
fn fused_is_one_after_the_other() {
    let mut steps = 0;
    for case in (0..CASES).map(Case::new) {
        steps += case.steps.len();
        let seen = case
            .before
            .run(&case.fused, 128, case.seed % 2 == 0, Sums::Complete);
        assert_eq!(
            seen,
            case.last().bytes(),
            "seed {}: {:?} on {:?} as {:?}",
            case.seed,
            case.steps,
            case.before,
            case.fused
        );
    }
    assert!(
        steps as u64 > CASES * 3,
        "cases have hardly any steps: {steps}"
    );
}

#[test]
fn fusion_is_associative() {
    for case in (0..CASES / 4).map(Case::new) {
        for cut in 0..=case.programs.len() {
            let (front, back) = case.programs.split_at(cut);
            let fold = |programs: &[Program]| {
                programs
                    .iter()
                    .try_fold(Program::IDENTITY, |all, next| all.fuse(next))
            };
            // The parts may need more room than the whole, where steps cancel.
            let (Ok(front), Ok(back)) = (fold(front), fold(back)) else {
                continue;
            };
            if let Ok(fused) = front.fuse(&back) {
                assert_eq!(
                    fused, case.fused,
                    "seed {} cut at {cut}: {:?}",
                    case.seed, case.steps
                );
            }
        }
    }
}

#[test]
fn sums_left_to_the_link_stay_right() {
    for mut case in (0..CASES).map(Case::new) {
        // A link completes what the innermost transport header asks for; one without a checksum asks for nothing.
        if !case.before.asks_for_a_sum() || !case.last().asks_for_a_sum() {
            continue;
        }
        let mut after = case.last().clone();
        case.before.leave_to_link();
        after.leave_to_link();
        let seen = case.before.run(&case.fused, 128, false, Sums::Partial);
        assert_eq!(
            seen,
            after.bytes(),
            "seed {}: {:?} on {:?}",
            case.seed,
            case.steps,
            case.before
        );
    }
}

#[test]
fn the_reverse_is_the_inverse() {
    let (mut reversed, mut without) = (0, 0);
    for case in (0..CASES).map(Case::new) {
        let (before, after) = (case.before.specs(), case.last().specs());
        let frame = case.before.bytes();
        let back = match case
            .fused
            .reverse(&before, &after, &frame, &case.before.offsets())
        {
            Ok(back) => back,
            Err(
                ProgramError::CoversPayload { .. }
                | ProgramError::PrefixFull
                | ProgramError::RewriteFull,
            ) => {
                without += 1;
                continue;
            }
            Err(other) => panic!("seed {}: {other}", case.seed),
        };
        reversed += 1;
        let context = || {
            format!(
                "seed {}: {:?} on {:?} back by {back:?}",
                case.seed, case.steps, case.before
            )
        };
        assert_eq!(
            case.last().run(&back, 256, false, Sums::Complete),
            frame,
            "{}",
            context()
        );
        if let Ok(both) = case.fused.fuse(&back) {
            assert_eq!(
                case.before.run(&both, 256, false, Sums::Complete),
                frame,
                "{}",
                context()
            );
        }
        // The next frame of the flow is longer.
        let mut longer = case.before.clone();
        longer.payload.extend([0xb1; 40]);
        longer.complete();
        let mut longer_after = longer.clone();
        case.steps.iter().for_each(|step| longer_after.apply(step));
        assert_eq!(
            longer_after.run(&back, 256, false, Sums::Complete),
            longer.bytes(),
            "{}",
            context()
        );
    }
    assert!(
        reversed > without,
        "{reversed} have a reverse, {without} have none"
    );
}

#[test]
fn encapsulation_then_decapsulation_is_the_identity() {
    use model::Kind::{Ethernet, Geneve, Ipv6, Udp};
    for seed in 0..CASES / 4 {
        let mut rng = Rng::new(seed);
        let before = Model::random(&mut rng);
        if before.headers.len() > 4 {
            continue;
        }
        let (mut model, mut all) = (before.clone(), Program::IDENTITY);
        for kind in [Geneve, Udp, Ipv6, Ethernet] {
            let step = Step::Push(kind, rng.bytes(kind.spec().min_len));
            all = all.fuse(&model.program(&step).unwrap()).unwrap();
            model.apply(&step);
        }
        assert_eq!(all.head_room(), 70);
        for _ in 0..4 {
            all = all.fuse(&model.program(&Step::Pop).unwrap()).unwrap();
            model.apply(&Step::Pop);
        }
        assert_eq!(all, Program::IDENTITY, "seed {seed}");
    }
}

#[test]
fn what_does_not_fit_changes_nothing() {
    let (mut fitting, mut refused) = (0, 0);
    for case in (0..CASES / 4).map(Case::new) {
        let frame = case.before.bytes();
        let offsets = case.before.offsets();
        let mut rng = Rng::new(case.seed ^ 0xfeed);
        let room = rng.below(100);
        let kept = rng.below(frame.len() + 1);
        let mut head = vec![0x5a; room];
        head.extend_from_slice(&frame[..kept]);
        let untouched = head.clone();
        match case
            .fused
            .apply(&mut head, room, frame.len(), &offsets, Sums::Complete, 7)
        {
            Ok(applied) => {
                fitting += 1;
                let mut seen = head[applied.start..].to_vec();
                seen.extend_from_slice(&frame[kept..]);
                assert_eq!(seen, case.last().bytes(), "seed {}", case.seed);
            }
            Err(_) => {
                refused += 1;
                assert_eq!(head, untouched, "seed {}", case.seed);
            }
        }
    }
    assert!(
        cfg!(miri) || fitting > 100 && refused > 100,
        "{fitting} fit, {refused} do not"
    );
}
