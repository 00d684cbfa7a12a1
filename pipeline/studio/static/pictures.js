// Pictures of tiles, a few at a time: a browser has few connections, and labels must not wait for pictures.

const MOST_AT_ONCE = 3;

const waiting = new Map(); // by tile, the one that was asked for last is loaded first
let loading = 0;

/** Shows a picture in a tile once it has come, unless the tile shows another one or is gone by then. */
export function showPicture(tile, box, address) {
  box.style.backgroundImage = "";
  waiting.set(tile, { box, address });
  next();
}

export function forgetPicture(tile) { waiting.delete(tile); }

function next() {
  while (loading < MOST_AT_ONCE && waiting.size) {
    const [tile, { box, address }] = [...waiting].at(-1);
    waiting.delete(tile);
    loading += 1;
    tile.dataset.picture = address;
    const image = new Image();
    const done = () => { loading -= 1; next(); };
    image.addEventListener("load", () => {
      if (tile.dataset.picture === address) box.style.backgroundImage = `url("${address}")`;
      done();
    });
    image.addEventListener("error", done);
    image.src = address;
  }
}
