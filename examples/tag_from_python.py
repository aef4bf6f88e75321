import sys

import earmark

model, *paths = sys.argv[1:]


def main() -> None:
    tagger = earmark.Tagger.load(model)  # a name of `earmark models list`, or a model file
    heard = tagger.tag(paths[0])  # or samples with rate=...
    for tag in heard.tags[:5]:
        often = "" if tag.lift is None else f", {tag.lift:.1f} times any song's"
        print(f"{tag.tag}: {tag.score:.2f}{often}")
    middle = tagger.tag(paths[0], options=earmark.Options(rank="score", center=True))
    print("likeliest in its middle:", middle.tags[0].tag)
    vector = tagger.embed(paths[0])  # the last recurrent state, for similarity
    print("an embedding of", vector.size, "numbers")
    for result in tagger.tag_files(paths, workers=2):  # in order; a bad file fails alone
        print(result.as_json())


if __name__ == "__main__":  # each worker process imports this script again
    main()
