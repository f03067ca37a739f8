// What the batch size and the optimizer do to the accuracy. One training record's group is shown at a time.
(() => {
    'use strict';

    // The group with most settings; of those the last.
    function prepare(view) {
        if (view.trainings.length === 0) {
            return null;
        }
        const widest = view.trainings.reduce((a, b) => (b.settings.length >= a.settings.length ? b : a));
        const chosen = view.trainings.find(
            (training) => String(Data.trainings.findIndex((one) => one.run === training.run && one.backend === training.backend &&
                                  one.label === training.label && one.model === training.model &&
                                  one.dataset === training.dataset && one.threads === training.threads)) === State.get('training'));
        const training = chosen || widest;
        return {
            training,
            trainings: view.trainings,
            settings: Settings.label(training),
            repeat: Data.commands([training.run]),
            name: `${training.label} ${training.model} ${training.dataset}`
        };
    }

    const indexOf = (training) => Data.trainings.findIndex((one) => one.run === training.run && one.backend === training.backend &&
            one.label === training.label && one.model === training.model && one.dataset === training.dataset &&
            one.threads === training.threads);

    function choices(shared) {
        if (shared.trainings.length < 2) {
            return [];
        }
        return [Dom.select('training', 'Training',
            shared.trainings.map(
                (training) => [indexOf(training), `${Settings.about(training)} (${Data.runs[training.run].file})`]),
            indexOf(shared.training), (value) => State.set('training', value))];
    }

    Report.addPart({id: 'accuracy', title: 'Accuracy', prepare, choices});
})();
