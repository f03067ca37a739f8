// What the batch size and the optimizer do to the accuracy. One training record's group is shown at a time.
(() => {
    'use strict';

    // The group with most settings; of those the last.
    function prepare(view) {
        if (view.trainings.length === 0) {
            return null;
        }
        const widest = view.trainings.reduce((a, b) => (b.settings.length >= a.settings.length ? b : a));
        const chosen = view.trainings.find((training) => String(training.index) === State.get('training'));
        const training = chosen || widest;
        return {
            training,
            trainings: view.trainings,
            settings: Settings.label(training),
            repeat: Data.commands([training.run]),
            name: `${training.label} ${training.model} ${training.dataset}`
        };
    }

    function choices(shared) {
        if (shared.trainings.length < 2) {
            return [];
        }
        return [Dom.select('training', 'Training',
            shared.trainings.map((training) => [training.index, `${Settings.about(training)} (${Data.runs[training.run].file})`]),
            shared.training.index, (value) => State.set('training', value))];
    }

    Report.addPart({id: 'accuracy', title: 'Accuracy', prepare, choices});
})();
