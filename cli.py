"""The front door: ``python cli.py ...`` is ``clipdex ...``.

python cli.py extract videos/             frames through a frozen encoder, once, into ./bank
python cli.py search "a dog jumping"      moments by text, by clip, by picture
python cli.py label import labels.csv     what is to be seen where
python cli.py train-head --loss triplet   a light head on the stored vectors
python cli.py add-class NAME MOMENT...    a class more, from a few clips
python cli.py predict more-videos/        what the head makes of it
"""

from pipeline.commands import main

if __name__ == "__main__":
    main()
