//! Bound programs against the programs they were bound from.

use opte_headers::program::{Program, Sums, Template, Translation};
use zerocopy::IntoBytes;

use crate::model::{Model, Rng, Step};

const CASES: u64 = if cfg!(miri) { 10 } else { 6_000 };

/// A flow: a frame of it, the program for it, and whether the steps are of the kind that networks take.
struct Flow {
    seed: u64,
    frame: Model,
    program: Program,
    usual: bool,
}

impl Flow {
    fn new(seed: u64) -> Self {
        let mut rng = Rng::new(seed);
        let frame = Model::of_flow(&mut rng);
        let usual = rng.chance(60) && frame.is_usual();
        let (mut model, mut program) = (frame.clone(), Program::IDENTITY);
        let steps = if usual {
            model.usual_steps(&mut rng)
        } else {
            vec![]
        };
        for at in 0..steps.len().max(1 + rng.below(7)) {
            let step = match steps.get(at) {
                Some(step) => step.clone(),
                None if usual => break,
                None => model.step(&mut rng),
            };
            let next = model.program(&step).expect("a step always has a program");
            let Ok(fused) = program.fuse(&next) else {
                break;
            };
            model.apply(&step);
            program = fused;
        }
        Self {
            seed,
            frame,
            program,
            usual,
        }
    }
}

#[test]
fn a_bound_program_does_what_the_program_does() {
    let (mut bound_cases, mut keyed_cases) = (0, 0);
    for flow in (0..CASES).map(Flow::new) {
        let Flow {
            seed,
            frame,
            program,
            ..
        } = &flow;
        let (key, l3) = (frame.key(), frame.l3_index());
        let (template, translation) = program.bind(&key, l3);
        assert_eq!(template.program(&translation), *program, "seed {seed}");
        // However it was put together, all that follows from the rest is as if made from it at the end.
        assert_eq!(program.before_header(u8::MAX), *program, "seed {seed}");
        let again = template.is_bound().then_some(translation);
        assert_eq!(
            template.translation(program, &key, l3),
            again,
            "seed {seed}"
        );
        bound_cases += u64::from(template.is_bound());
        // Where keys tell all that is written, they tell the translation.
        let after = key.rewritten(program, l3);
        if let Some(keyed) = template.keyed() {
            assert_eq!(
                keyed.translation(&key, &after),
                translation,
                "seed {seed}: {program:?}"
            );
            keyed_cases += 1;
        }
        assert!(
            template.keyed().is_some() || !flow.usual,
            "seed {seed}: {program:?}"
        );
        // Whatever networks do is bound.
        assert!(
            template.is_bound() || !flow.usual,
            "seed {seed}: {program:?}"
        );
        let bound = template.compile();
        let mut rng = Rng::new(seed.wrapping_add(1 << 40));
        for round in 0..6 {
            let mut frame = frame.another(&mut rng);
            let sums = if round % 2 == 0 {
                Sums::Complete
            } else {
                Sums::Partial
            };
            if sums == Sums::Partial {
                frame.leave_to_link();
            }
            let room = rng.pick(&[128, 128, 96, 90, 70, 8]);
            let (headers_only, entropy) = (rng.chance(30), rng.next() as u16);
            let expected = frame.run_with(room, headers_only, |head, len, offsets| {
                program.apply(head, room, len, offsets, sums, entropy)
            });
            let seen = frame.run_with(room, headers_only, |head, len, offsets| {
                bound.apply(&translation, head, room, len, offsets, sums, entropy)
            });
            assert_eq!(
                seen, expected,
                "seed {seed}, round {round}: {program:?} on {frame:?}"
            );
        }
    }
    assert!(
        cfg!(miri) || bound_cases > CASES / 3,
        "hardly any program was bound: {bound_cases}"
    );
    assert!(
        cfg!(miri) || keyed_cases > CASES / 4,
        "hardly any translation was told by keys: {keyed_cases}"
    );
}

#[test]
fn what_a_flow_keeps_for_itself_is_small() {
    assert_eq!(size_of::<Translation>(), 28);
}

/// What flows that go the same way have in common is the same, whatever NAT chose for each.
#[test]
fn flows_that_go_the_same_way_share_a_template() {
    for seed in 0..CASES / 10 {
        let mut rng = Rng::new(seed);
        let frame = Model::of_flow(&mut rng);
        if !frame.is_usual() {
            continue;
        }
        let steps = frame.usual_steps(&mut rng);
        let bind = |rng: &mut Rng, frame: &Model| -> Template {
            let (mut model, mut program) = (frame.clone(), Program::IDENTITY);
            for step in &steps {
                let mut step = step.clone();
                if let Step::Set { header, value, .. } = &mut step
                    && model.headers.len() - *header <= 2
                {
                    *value = rng.bytes(value.len());
                }
                program = program.fuse(&model.program(&step).unwrap()).unwrap();
                model.apply(&step);
            }
            program.bind(&frame.key(), frame.l3_index()).0
        };
        let one = bind(&mut rng, &frame);
        let frame = frame.another(&mut rng);
        assert_eq!(one, bind(&mut rng, &frame), "seed {seed}: {steps:?}");
    }
}

/// A template says of any flow what binding its program says.
#[test]
fn a_template_knows_the_programs_it_is_made_of() {
    let (mut last, mut known) = (Flow::new(0), 0);
    for next in (0..CASES).map(Flow::new) {
        // The flow before, another flow of the same ways, and the same flow with one byte of its program changed.
        let (key, l3) = (last.frame.key(), last.frame.l3_index());
        let (template, _) = last.program.bind(&key, l3);
        let mut rng = Rng::new(next.seed);
        let mut bent = last.program;
        if let Some(byte) = bent.as_mut_bytes().get_mut(rng.below(size_of::<Program>())) {
            *byte ^= 1 << rng.below(8);
        }
        let another = last.frame.another(&mut rng).key();
        let programs = [
            (&last.program, key),
            (&last.program, another),
            (&bent, key),
            (&next.program, key),
        ];
        for (program, key) in programs {
            let (bound, translation) = program.bind(&key, l3);
            let same = bound == template && template.is_bound();
            known += u64::from(same);
            assert_eq!(
                template.translation(program, &key, l3),
                same.then_some(translation),
                "seed {}",
                last.seed
            );
        }
        last = next;
    }
    assert!(
        cfg!(miri) || known > CASES / 3,
        "hardly any was known: {known}"
    );
}
