"""Prediction questions of chapter 8."""

from nnlib.contract.case import Question
from nnlib.contract.registry import register

CHAPTER = "08-optimizers"

register(
    Question(
        "largest_stable_rate",
        "A loss is quadratic with the curvatures 0.5, 4 and 20. Below which learning rate does "
        "gradient descent converge from every start?",
        0.1,
        {
            "0.05": "At 1/20 the steepest direction arrives in one step. It may overshoot, as long "
                    "as it comes closer: |1 - rate * curvature| < 1.",
            "4": "2 divided by the smallest curvature: the flat direction bears that, the steep "
                 "one would be multiplied by 1 - 4 * 20.",
            "0.5": "2 divided by the middle curvature. The steepest direction is the first to "
                   "diverge.",
            "2": "2 divided by something is right. By which of the three curvatures?",
            "10": "That is the largest curvature divided by 2; the learning rate goes the other "
                  "way: steeper means shorter steps.",
            "0.0976": "2 / (20 + 0.5) is the fastest rate. The limit of convergence lies a little "
                      "above it.",
        },
        CHAPTER, "learning-rate-limit", tolerance=1e-3, tracks=("numpy",)),
    Question(
        "first_adam_step",
        "One parameter has the gradient 1000, another 0.001, and this is the first step. How far "
        "do they move with Adam at the learning rate 0.01, all else at its default?",
        "b",
        {
            "a": "That would be plain gradient descent: step = rate times gradient. Adam divides "
                 "by the size of the gradients it has seen.",
            "c": "Without bias correction, yes: 0.1 / sqrt(0.001) is about 3.2. The correction "
                 "takes just this factor out.",
            "d": "m is 0.1 g at first, and v is 0.001 g^2. Both are corrected before they are "
                 "used.",
        },
        CHAPTER, "bias-correction",
        {"a": "10 and 0.00001",
         "b": "both 0.01",
         "c": "both about 0.032",
         "d": "both 0.001"},
        tracks=("numpy",)),
    Question(
        "decay_without_gradient",
        "A weight of 1.0 gets a gradient of exactly 0 in each of 100 steps of AdamW with lr=0.01 "
        "and weight_decay=0.1. What is it then? Give three digits.",
        0.905,
        {
            "1": "Without a gradient Adam stays, but the decay does not ask the gradient: that is "
                 "what decoupled means.",
            "0.9": "100 times 0.001 of the first weight. Each step takes its share of what is "
                   "left.",
            "2.66e-5": "That is 0.9 to the power 100: the decay is multiplied by the learning "
                       "rate before it is applied.",
            "0.366": "That is 0.99 to the power 100, the learning rate alone. Each step takes "
                     "the fraction lr * weight_decay.",
        },
        CHAPTER, "adamw", tolerance=1.5e-3, tracks=("torch",)),
    Question(
        "replaced_layer",
        "optimizer = torch.optim.Adam(model.parameters()) is made. Then the last layer is "
        "replaced: model.head = nn.Linear(64, 3). Training goes on without an error. What is "
        "trained?",
        "c",
        {
            "a": "The optimizer got a list of parameters once. It never looks at the model again, "
                 "so it does not know the new layer.",
            "b": "The other layers are in the optimizer's list and get gradients. What about the "
                 "new one?",
            "d": "Nothing checks that: backward fills .grad of all parameters of the model, and "
                 "step goes through the optimizer's own list.",
        },
        CHAPTER, "optimizers-pytorch",
        {"a": "all layers, the new one included",
         "b": "the new layer alone",
         "c": "all layers but the new one",
         "d": "nothing, because the parameters no longer match"},
        tracks=("torch",)),
)
