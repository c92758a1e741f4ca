const box = document.getElementById("recherche"), said = document.getElementById("resultat");
const bare = text => text.normalize("NFD").replace(/[\u0300-\u036f]/g, "").toLowerCase();
document.getElementById("chercher").hidden = false;
box.addEventListener("input", () => {
  const words = bare(box.value).split(/\s+/).filter(Boolean);
  let found = 0;
  for (const card of document.querySelectorAll("[data-words]")) {
    card.hidden = !words.every(word => card.dataset.words.includes(word));
    found += !card.hidden;
  }
  for (const group of document.querySelectorAll("section[data-group]"))
    group.hidden = !group.querySelector("[data-words]:not([hidden])");
  said.textContent = found ? found + (found > 1 ? " rapports" : " rapport") : "Aucun rapport ne contient ces mots.";
});
