"""Fine-tuning of a promptable model's mask decoder on few annotated volumes (design, section 4).

How much the number of volumes matters is seen with four commands; the draw of 48 contains that of 8:

    sparsecardiacseg finetune DATASET --out few  --volumes 8  --scheme acdc --epochs 15 --structures-per-slice 1
    sparsecardiacseg finetune DATASET --out many --volumes 48 --scheme acdc --epochs 15 --structures-per-slice 1
    sparsecardiacseg evaluate-prompts DATASET --split val --scheme acdc --model few  --out few-val
    sparsecardiacseg evaluate-prompts DATASET --split val --scheme acdc --model many --out many-val

One structure a visit, not all three, makes a step 2.5 times as cheap; without the two last options of `finetune`, the
thesis's schedule runs: 100 epochs with every structure.
"""
